// The moving film: which frame is shown, playing, flicker, and the frame in the page's address.

import { withShown } from "./address";
import { Cine } from "./cine";
import { frameCount, type ViewerData } from "./data";
import type { Note } from "./log";
import { flickerFrame, spoken } from "./playback";
import type { Now, Screen } from "./screen";
import { signs, spokenStates, stepped, withState, type State } from "./switches";

const ADDRESS_AFTER_MS = 250;

export interface FrameHandlers {
  note: Note;
  announce: (text: string) => void;
  redraw: () => void;
}

export class Frames {
  readonly n: number;
  readonly cine: Cine;
  private keeping: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly data: ViewerData,
    private readonly now: Now,
    private readonly screen: Screen,
    private readonly on: FrameHandlers,
  ) {
    this.n = frameCount(data.panels);
    this.cine = new Cine(data.fps, {
      index: () => this.now.index,
      n: () => this.n,
      show: (index) => this.show(index),
      phase: (original) => this.flickered(original),
    });
  }

  private show(index: number): void {
    this.now.index = Math.min(Math.max(index, 0), this.n - 1);
    this.keepInAddress();
    this.on.redraw();
  }

  /** The reader goes to a frame. */
  goTo(index: number): void {
    this.cine.stopFlicker();
    this.pause();
    const before = this.now.index;
    this.show(index);
    if (this.now.index !== before) this.on.note("frame", this.now.index);
    const { low, high, originWord, origin } = this.data;
    this.on.announce(spoken(this.now.index, this.n, origin, { low, high, origin: originWord ?? "original" }));
  }

  step(by: 1 | -1): void {
    this.goTo(this.now.index + by);
  }

  // ------------------------------------------------------------------ toggles

  private get titles(): readonly string[] {
    return this.data.toggles?.titles ?? [];
  }

  setSwitch(factor: number, state: State): void {
    this.switchTo(withState(this.now.index, this.titles.length, factor, state));
  }

  stepSwitch(factor: number, by: 1 | -1): void {
    this.switchTo(stepped(this.now.index, this.titles.length, factor, by));
  }

  unswitch(): void {
    this.switchTo(this.data.origin);
  }

  /** The picture of another combination. */
  private switchTo(index: number): void {
    this.cine.stopFlicker();
    const before = this.now.index;
    this.show(index);
    if (this.now.index !== before) this.on.note("toggle", signs(this.now.index, this.titles.length));
    const says = this.data.toggles?.texts?.[this.now.index];
    this.on.announce([spokenStates(this.now.index, this.titles), says].filter(Boolean).join("; "));
  }

  // ------------------------------------------------------------------ playing

  play(): void {
    if (!this.cine.play()) return;
    this.notePlay();
    this.on.redraw();
  }

  pause(): void {
    if (!this.cine.pause()) return;
    this.on.note("pause", this.now.index);
    this.keepInAddress();
    this.on.redraw();
  }

  toggle(): void {
    if (this.cine.playing) this.pause();
    else this.play();
  }

  changeSpeed(by: 1 | -1): void {
    this.cine.changeSpeed(by);
    this.changed();
  }

  setSpeed(speed: number): void {
    this.cine.speed = speed;
    this.changed();
  }

  toggleRound(): void {
    this.cine.pingPong = !this.cine.pingPong;
    this.changed();
  }

  private changed(): void {
    if (this.cine.playing) this.notePlay();
    this.on.announce(`Speed ${this.cine.speed}, ${this.cine.pingPong ? "back and forth" : "round"}`);
    this.on.redraw();
  }

  private notePlay(): void {
    this.on.note("play", `${this.cine.speed}x ${this.cine.pingPong ? "ping-pong" : "loop"}`);
  }

  toggleFlicker(): void {
    if (this.cine.stopFlicker()) return this.on.note("flicker", 0);
    this.pause();
    const { toggles, origin } = this.data;
    if (toggles?.laid && this.now.index === origin) return this.on.announce("This is the original film; switch a factor first");
    const frame = toggles ? this.now.index : flickerFrame(this.now.index, origin, this.n);
    if (frame !== this.now.index) this.show(frame);
    this.cine.startFlicker();
    this.on.note("flicker", 1);
  }

  private flickered(original: boolean): void {
    Object.assign(this.now, { original, flickering: this.cine.flickering });
    for (const panel of this.screen.panels)
      if (panel.data.kind === "frames") panel.say(this.now.flickering && original ? "original film" : "");
    this.on.redraw();
  }

  setMode(mode: number): void {
    if (!this.data.modes) return;
    this.now.mode = mode;
    this.keepInAddress();
    this.screen.showWaiting(this.now);
    this.on.redraw();
  }

  otherMode(): void {
    this.setMode((this.now.mode + 1) % (this.data.modes?.length ?? 1));
  }

  private keepInAddress(): void {
    if (!this.data.frameParameter && !this.data.modeParameter) return;
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      if (this.cine.playing) return;
      const href = withShown(this.data, window.location.href, this.now, this.n);
      if (href !== window.location.href) window.history.replaceState(window.history.state, "", href);
    }, ADDRESS_AFTER_MS);
  }

  stop(): void {
    clearTimeout(this.keeping);
    this.cine.stop();
  }
}
