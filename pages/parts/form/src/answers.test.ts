import { describe, expect, it } from "vitest";
import { adopt, allows, byDigit, changed, counting, isAsked, isGiven, missing, namesOf, nextOpen, toggled } from "./answers";
import type { Item, Kind } from "./types";

function item(id: string, kind: Kind, more: Partial<Item> = {}): Item {
  return {
    id,
    kind,
    question: `${id}?`,
    low: "",
    high: "",
    points: 5,
    required: true,
    maxLength: 20,
    options: [],
    maxMarks: 2,
    ...more,
  };
}

const options = [
  { id: "a", label: "A" },
  { id: "b", label: "B" },
  { id: "c", label: "C" },
];
const likert = item("l", "likert");
const scale = item("s", "scale");
const choice = item("c", "choice", { options });
const several = item("m", "multi_choice", { options });
const text = item("t", "text", { required: false });
const box = item("b", "box");

describe("what an item allows", () => {
  it("takes whole numbers on the scale only", () => {
    expect([0, 1, 5, 6, 2.5, "3", true, null].map((v) => allows(likert, v))).toEqual([
      false, true, true, false, false, false, false, false,
    ]);
    expect([0, 100, 101, Number.NaN].map((v) => allows(scale, v))).toEqual([true, true, false, false]);
  });

  it("takes known options, marks on the film, and no longer text than allowed", () => {
    expect(allows(choice, "b")).toBe(true);
    expect(allows(choice, "z")).toBe(false);
    expect(allows(several, ["a", "z"])).toBe(false);
    expect(allows(text, "x".repeat(21))).toBe(false);
    expect(allows(box, [[0, 0, 1, 1]])).toBe(true);
    expect(allows(box, [[0, 0, 1, 1.2]])).toBe(false);
    expect(allows(box, [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]])).toBe(false);
  });

  it("adopts from a foreign draft only what fits", () => {
    const foreign = { l: 9, s: 0, c: "a", m: [], t: "  ", zzz: 1, b: "<script>" };
    expect(adopt([likert, scale, choice, several, text, box], foreign)).toEqual({ s: 0, c: "a" });
  });
});

describe("what is missing", () => {
  it("counts 0 as an answer and blanks as none", () => {
    expect(isGiven(0)).toBe(true);
    expect(isGiven("  \n")).toBe(false);
    expect(isGiven([])).toBe(false);
    expect(missing([likert, scale, text], { s: 0 })).toEqual([likert]);
  });

  it("asks for words only after the answer that calls for them", () => {
    const words = item("w", "text", { askedIf: { item: "c", equals: "a" } });
    const items = [choice, words];
    expect(missing(items, { c: "a" })).toEqual([words]);
    expect(missing(items, { c: "b" })).toEqual([]);
    expect(isAsked(words, {})).toBe(false);
    expect(counting(items, { c: "b", w: "left over" })).toEqual({ c: "b" });
    expect(counting(items, { c: "a", w: "heart" })).toEqual({ c: "a", w: "heart" });
  });

  it("drops an answer that was taken back", () => {
    expect(changed({ t: "x", l: 2 }, text, "")).toEqual({ l: 2 });
  });

  it("is named in one short line", () => {
    expect(namesOf([likert, scale])).toBe("l; s");
    expect(namesOf([item("x".repeat(90), "text")])).toHaveLength(70);
  });
});

describe("digits", () => {
  it("choose the point of a scale and the nth option", () => {
    expect(byDigit(likert, 5, undefined)).toBe(5);
    expect(byDigit(likert, 6, undefined)).toBeNull();
    expect(byDigit(choice, 2, "a")).toBe("b");
    expect(byDigit(choice, 4, "a")).toBeNull();
    expect(byDigit(text, 1, undefined)).toBeNull();
  });

  it("add and remove options, kept in the order of the protocol", () => {
    expect(byDigit(several, 1, ["c"])).toEqual(["a", "c"]);
    expect(toggled(several, "c", ["a", "c"])).toEqual(["a"]);
  });

  it("go to the next open item, and round to one left out", () => {
    const items = [likert, text, choice, box, scale];
    expect(nextOpen(items, {}, null)).toBe("l");
    expect(nextOpen(items, { l: 1 }, "l")).toBe("c");
    expect(nextOpen(items, { s: 1 }, "s")).toBe("l");
    expect(nextOpen(items, { l: 1, c: "a", s: 0 }, "s")).toBeNull();
  });
});
