import { describe, expect, it } from "vitest";
import type { ViewerData } from "./data";
import { actionOf, KEYS } from "./keys";
import { offers } from "./offers";
import { indexOf, signs, spokenStates, statesOf, stepOf, stepped, withState } from "./switches";

const data = (more: object): ViewerData =>
  ({ panels: [], presets: [], controls: { slider: false, play: false }, toggles: { titles: ["a", "b"], ...more } }) as unknown as ViewerData;

describe("switches", () => {
  it("count in base 3, the first factor as the leading digit, nothing switched in the middle", () => {
    expect(statesOf(0, 2)).toEqual([-1, -1]);
    expect(statesOf(1, 2)).toEqual([-1, 0]);
    expect(statesOf(3, 2)).toEqual([0, -1]);
    expect(statesOf(4, 2)).toEqual([0, 0]);
    expect(statesOf(80, 4)).toEqual([1, 1, 1, 1]);
    for (let index = 0; index < 27; index += 1) expect(indexOf(statesOf(index, 3))).toBe(index);
  });

  it("move one factor and leave the others", () => {
    expect(signs(withState(13, 3, 0, 1), 3)).toBe("+00");
    expect(signs(withState(0, 3, 2, 1), 3)).toBe("--+");
    expect(signs(stepped(13, 3, 1, -1), 3)).toBe("0-0");
    expect(stepped(26, 3, 1, 1)).toBe(26);
    expect(stepped(0, 3, 2, -1)).toBe(0);
  });

  it("are read out in words", () => {
    expect(spokenStates(withState(4, 2, 1, -1), ["Heart size", "Fluid"])).toBe("Heart size as it is, Fluid lowered");
  });

  it("have keys of their own, with Shift the other way", () => {
    expect(actionOf({ key: "s", shiftKey: false })).toBe("raise1");
    expect(actionOf({ key: "S", shiftKey: true })).toBe("lower1");
    expect(actionOf({ key: "K", shiftKey: true })).toBe("lower4");
    expect(actionOf({ key: "x", shiftKey: false })).toBe("unswitch");
    expect(KEYS.filter((each) => stepOf(each.action)).length).toBe(8);
    expect(stepOf("lower3")).toEqual({ factor: 2, by: -1 });
    expect(stepOf("zoomIn")).toBeNull();
  });

  it("are offered for as many factors as there are, and for none where a note says why", () => {
    expect(offers(data({}), 9, "raise2")).toBe(true);
    expect(offers(data({}), 9, "raise3")).toBe(false);
    expect(offers(data({}), 9, "flicker")).toBe(true);
    expect(offers(data({}), 9, "unswitch")).toBe(true);
    expect(offers(data({}), 9, "forward")).toBe(false);
    for (const action of ["raise1", "flicker", "unswitch"] as const) expect(offers(data({ note: "no" }), 1, action)).toBe(false);
    expect(offers({ ...data({}), toggles: undefined }, 1, "raise1")).toBe(false);
  });
});
