import { describe, expect, it } from "vitest";
import { actionOf, isControl, isReserved, isTyping, KEYS, usesArrows } from "./keys";

const press = (key: string, shiftKey = false) => actionOf({ key, shiftKey });
const plain = { ctrlKey: false, metaKey: false, altKey: false };

describe("keys", () => {
  it("each mean one thing", () => {
    const all = KEYS.flatMap((each) => each.keys);
    expect(new Set(all).size).toBe(all.length);
  });

  it("leave digits but 0, Enter, N, R and C alone", () => {
    for (const key of [..."123456789", "Enter", "n", "N", "r", "c", "Tab"]) expect(press(key)).toBeUndefined();
    expect(press("0")).toBe("reset");
  });

  it("do the same with caps lock, and something else with Shift only where that is said", () => {
    expect(press("H")).toBe("overlays");
    expect(press("H", true)).toBe("overlays");
    expect(press("b")).toBe("brighter");
    expect(press("B", true)).toBe("darker");
    expect(press("ArrowLeft")).toBe("back");
    expect(press("ArrowLeft", true)).toBe("left");
    expect(press("?", true)).toBe("help");
    expect(press("=")).toBe("actual");
    expect(press("-")).toBe("fit");
    expect(press("+", true)).toBe("zoomIn");
  });

  it("that Streamlit takes for itself are known, with Ctrl they are the browser's", () => {
    expect(isReserved({ key: "R", ...plain })).toBe(true);
    expect(isReserved({ key: "c", ...plain })).toBe(true);
    expect(isReserved({ key: "c", ...plain, ctrlKey: true })).toBe(false);
    expect(isReserved({ key: "x", ...plain })).toBe(false);
  });

  it("belong to a field while somebody types in it", () => {
    expect(isTyping({ tagName: "TEXTAREA" })).toBe(true);
    expect(isTyping({ tagName: "INPUT", type: "text" })).toBe(true);
    expect(isTyping({ tagName: "INPUT", type: "range" })).toBe(false);
    expect(isTyping({ tagName: "DIV" })).toBe(false);
    expect(usesArrows({ tagName: "INPUT", type: "range" })).toBe(true);
    expect(usesArrows({ tagName: "BUTTON", getAttribute: () => "radio" })).toBe(true);
    expect(isControl({ tagName: "CANVAS", getAttribute: () => "img" })).toBe(false);
  });
});
