import { describe, expect, it } from "vitest";
import { flickerFrame, framesDue, next, otherSpeed, spoken, type Motion } from "./playback";

function path(start: Motion, n: number, pingPong: boolean, steps: number): number[] {
  const seen = [start.index];
  let motion = start;
  for (let k = 0; k < steps; k += 1) seen.push((motion = next(motion, n, pingPong)).index);
  return seen;
}

describe("playing", () => {
  it("back and forth turns at both ends and shows them once", () => {
    expect(path({ index: 1, direction: 1 }, 4, true, 7)).toEqual([1, 2, 3, 2, 1, 0, 1, 2]);
  });

  it("round goes from the last frame to the first", () => {
    expect(path({ index: 2, direction: -1 }, 4, false, 3)).toEqual([2, 3, 0, 1]);
  });

  it("of one frame stays there", () => expect(next({ index: 0, direction: -1 }, 1, true).index).toBe(0));

  it("after a long sleep does not race", () => {
    expect(framesDue(99, 100, 21)).toBe(0);
    expect(framesDue(250, 100, 21)).toBe(2);
    expect(framesDue(60_000, 100, 21)).toBe(21);
  });

  it("has a slowest and a fastest speed", () => {
    expect(otherSpeed(1, 1)).toBe(2);
    expect(otherSpeed(4, 1)).toBe(4);
    expect(otherSpeed(0.25, -1)).toBe(0.25);
  });
});

it("at the original, the flicker is against the end that is farther away", () => {
  expect(flickerFrame(3, 10, 21)).toBe(3);
  expect(flickerFrame(4, 4, 21)).toBe(20);
  expect(flickerFrame(16, 16, 21)).toBe(0);
});

it("a position is said in the slider's own words", () => {
  const words = { low: "removed", high: "present", origin: "original" };
  expect(spoken(2, 7, 2, words)).toBe("original");
  expect(spoken(1, 7, 2, words)).toBe("1 of 2 towards removed");
  expect(spoken(6, 7, 2, words)).toBe("present");
});
