import { describe, expect, it } from "vitest";
import { boxMark, hit, isTooSmall, moved, pointMark, validMarks } from "./marks";
import { Marking } from "./marking";

const REACH = { x: 0.01, y: 0.01 };

describe("marks", () => {
  it("are fractions of the film, and stay on it", () => {
    expect(pointMark({ x: -0.2, y: 1.7 })).toEqual([0, 1]);
    expect(boxMark({ x: 0.8, y: 0.1 }, { x: 0.2, y: 0.6 })).toEqual([0.2, 0.1, 0.8, 0.6]);
    expect(moved([0.8, 0.8, 1, 1], "whole", 0.5, -0.1)).toEqual([0.8, 0.7, 1, 0.9]);
    expect(isTooSmall([0.5, 0.5, 0.501, 0.9])).toBe(true);
  });

  it("are held at corners and edges, a box not in its middle", () => {
    const marks = [[0.2, 0.2, 0.6, 0.6], [0.9, 0.9]];
    expect(hit(marks, { x: 0.2, y: 0.605 }, REACH)).toEqual({ index: 0, grip: "sw" });
    expect(hit(marks, { x: 0.4, y: 0.2 }, REACH)).toEqual({ index: 0, grip: "whole" });
    expect(hit(marks, { x: 0.4, y: 0.4 }, REACH)).toBeNull();
    expect(hit(marks, { x: 0.905, y: 0.9 }, REACH)).toEqual({ index: 1, grip: "whole" });
  });

  it("a corner pulled past the other makes a box again", () => {
    expect(moved([0.2, 0.2, 0.4, 0.4], "se", -0.3, 0.1)).toEqual([0.1, 0.2, 0.2, 0.5]);
  });

  it("from outside are taken only if they are marks", () => {
    expect(validMarks([[0.1, 0.2], [2, 0], ["a", 1], [0.1, 0.2, 0.3, 0.4], null], "point", 5)).toEqual([[0.1, 0.2]]);
    expect(validMarks("no", "box", 2)).toEqual([]);
    expect(validMarks([[0, 0], [1, 1]], "point", 1)).toEqual([[0, 0]]);
  });
});

function marking(kind: string, max: number, marks: unknown[] = []) {
  const sent: number[][][] = [];
  const said: string[] = [];
  const made = new Marking({
    changed: (item) => sent.push(item.marks.map((mark) => [...mark])),
    redraw: () => undefined,
    announce: (text) => said.push(text),
  });
  made.ask({ item: "q", kind, max, marks, label: "Where" });
  return { made, sent, said };
}

describe("marking by keys", () => {
  it("sets a point where the cross-hair was moved to", () => {
    const { made, sent, said } = marking("point", 2);
    for (const key of ["ArrowRight", "ArrowRight", "ArrowUp"]) expect(made.key(key, false)).toBe(true);
    made.key("ArrowDown", true);
    made.key(" ", false);
    expect(sent).toEqual([[[0.54, 0.482]]]);
    expect(said).toContain("54 % across, 48 % down");
  });

  it("draws a box with two corners, picks it up, moves it and removes it", () => {
    const { made, sent } = marking("box", 1);
    made.key(" ", false);
    for (let k = 0; k < 5; k += 1) made.key(k % 2 ? "ArrowRight" : "ArrowDown", false);
    made.key(" ", false);
    expect(sent.at(-1)).toEqual([[0.5, 0.5, 0.54, 0.56]]);
    made.key(" ", false); // the cross-hair is on its corner
    made.key("ArrowRight", false);
    expect(sent.at(-1)).toEqual([[0.5, 0.5, 0.56, 0.56]]);
    expect(made.key("Delete", false)).toBe(true);
    expect(sent.at(-1)).toEqual([]);
    expect(made.key("Delete", false)).toBe(false);
  });

  it("gives up a box with Escape, which then is not ours any more", () => {
    const { made, sent } = marking("box", 3);
    made.key(" ", false);
    expect(made.key("Escape", false)).toBe(true);
    expect(made.key("Escape", false)).toBe(false);
    expect(sent).toEqual([]);
  });
});

describe("marking by pointer", () => {
  const size = { width: 500, height: 500 };

  it("replaces the only mark, but not by a mere click", () => {
    const { made, sent } = marking("box", 1, [[0.1, 0.1, 0.2, 0.2]]);
    made.down({ x: 0.7, y: 0.7 }, size);
    made.up();
    expect(sent).toEqual([]);
    made.down({ x: 0.7, y: 0.7 }, size);
    made.move({ x: 0.5, y: 0.8 });
    made.up();
    expect(sent).toEqual([[[0.5, 0.7, 0.7, 0.8]]]);
  });

  it("moves the mark that is taken hold of, once for the whole drag", () => {
    const { made, sent } = marking("point", 2, [[0.3, 0.3]]);
    made.down({ x: 0.302, y: 0.3 }, size);
    for (const x of [0.4, 0.5, 0.602]) made.move({ x, y: 0.3 });
    made.up();
    expect(sent).toEqual([[[0.6, 0.3]]]);
  });

  it("sets no more marks than are asked for", () => {
    const { made, sent } = marking("point", 2, [[0.1, 0.1], [0.9, 0.9]]);
    made.down({ x: 0.5, y: 0.5 }, size);
    made.up();
    expect(sent).toEqual([]);
  });

  it("is off when the form says so", () => {
    const { made } = marking("point", 1);
    made.ask({ item: "q", kind: null });
    expect([made.isOn, made.hasAny]).toEqual([false, false]);
    expect(made.key(" ", false)).toBe(false);
  });

  it("and shows marks that were made earlier", () => {
    const { made } = marking("point", 1);
    made.ask({ item: "old", kind: null, max: 2, marks: [[0.1, 0.1, 0.4, 0.4]] });
    expect([made.isOn, made.hasAny]).toEqual([false, true]);
  });
});
