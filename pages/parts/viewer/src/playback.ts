// Which frame comes next, and how fast. No DOM, no clock.

export const SPEEDS = [0.25, 0.5, 1, 2, 4] as const;

export interface Motion {
  index: number;
  direction: 1 | -1;
}

/** The frame after this one: back and forth, or from the last to the first. */
export function next(motion: Motion, n: number, pingPong: boolean): Motion {
  if (n < 2) return { index: 0, direction: 1 };
  if (!pingPong) return { index: (motion.index + 1) % n, direction: 1 };
  const ahead = motion.index + motion.direction;
  if (ahead >= 0 && ahead < n) return { index: ahead, direction: motion.direction };
  const direction = motion.direction === 1 ? -1 : 1;
  return { index: motion.index + direction, direction };
}

/** The next speed up or down; the ends stay. */
export function otherSpeed(speed: number, by: 1 | -1): number {
  const at = SPEEDS.indexOf(speed as (typeof SPEEDS)[number]);
  return SPEEDS[Math.min(Math.max((at < 0 ? 2 : at) + by, 0), SPEEDS.length - 1)];
}

/** Frames due after a time, at most one round so that a sleeping tab does not race. */
export function framesDue(elapsedMs: number, periodMs: number, n: number): number {
  return Math.min(Math.floor(elapsedMs / periodMs), n);
}

/** The frame to flicker against: the one shown, or at the origin the end that is farther away. */
export function flickerFrame(index: number, origin: number, n: number): number {
  if (index !== origin) return index;
  return n - 1 - origin >= origin ? n - 1 : 0;
}

/** A frame's position in the words of the slider. */
export function spoken(index: number, n: number, origin: number, words: { low: string; high: string; origin: string }): string {
  if (index === origin) return words.origin;
  const [towards, step, most] = index > origin ? [words.high, index - origin, n - 1 - origin] : [words.low, origin - index, origin];
  return step === most ? towards : `${step} of ${most} towards ${towards}`;
}
