// Runs the moving film and the flicker by the display's own clock.

import { framesDue, next, otherSpeed, type Motion } from "./playback";

/** Half a period of the flicker; well below three flashes a second. */
export const FLICKER_MS = 450;

export interface CineHandlers {
  index: () => number;
  n: () => number;
  show: (index: number) => void;
  phase: (original: boolean) => void;
}

export class Cine {
  playing = false;
  flickering = false;
  /** While flickering: whether the original is the one shown now. */
  original = false;
  speed = 1;
  pingPong = true;
  private direction: 1 | -1 = 1;
  private request = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly fps: number, private readonly on: CineHandlers) {}

  play(): boolean {
    if (this.playing || this.on.n() < 2) return false;
    this.stopFlicker();
    this.playing = true;
    let last = performance.now();
    const tick = (now: number) => {
      if (!this.playing) return;
      const period = 1000 / (this.fps * this.speed);
      const due = framesDue(now - last + 1, period, this.on.n());
      if (due > 0) {
        last = due === this.on.n() ? now : last + due * period;
        let motion: Motion = { index: this.on.index(), direction: this.direction };
        for (let k = 0; k < due; k += 1) motion = next(motion, this.on.n(), this.pingPong);
        this.direction = motion.direction;
        this.on.show(motion.index);
      }
      this.request = requestAnimationFrame(tick);
    };
    this.request = requestAnimationFrame(tick);
    return true;
  }

  pause(): boolean {
    if (!this.playing) return false;
    this.playing = false;
    cancelAnimationFrame(this.request);
    return true;
  }

  changeSpeed(by: 1 | -1): void {
    this.speed = otherSpeed(this.speed, by);
  }

  startFlicker(): void {
    this.pause();
    this.flickering = true;
    this.swap(true);
  }

  stopFlicker(): boolean {
    if (!this.flickering) return false;
    clearTimeout(this.timer);
    this.flickering = false;
    this.original = false;
    this.on.phase(false);
    return true;
  }

  private swap(original: boolean): void {
    this.original = original;
    this.on.phase(original);
    this.timer = setTimeout(() => this.swap(!original), FLICKER_MS);
  }

  stop(): void {
    this.pause();
    clearTimeout(this.timer);
    this.flickering = false;
  }
}
