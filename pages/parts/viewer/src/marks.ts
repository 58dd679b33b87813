// Points and boxes on the film, in fractions of its width and height. No DOM.

import { clamp01, type Point } from "./geometry";

export type Mark = number[]; // [x, y] or [x0, y0, x1, y1]
export type MarkKind = "point" | "box";

export interface MarkItem {
  item: string;
  kind: MarkKind;
  max: number;
  label: string;
  marks: Mark[];
}

const PLACES = 4;
/** A box smaller than this was a click. */
export const SMALLEST_BOX = 0.004;

export function rounded(value: number): number {
  return Number(clamp01(value).toFixed(PLACES));
}

export function pointMark(at: Point): Mark {
  return [rounded(at.x), rounded(at.y)];
}

export function boxMark(from: Point, to: Point): Mark {
  return [Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y)].map(rounded);
}

export function isBox(mark: Mark): boolean {
  return mark.length === 4;
}

export function isTooSmall(mark: Mark): boolean {
  return isBox(mark) && (mark[2] - mark[0] < SMALLEST_BOX || mark[3] - mark[1] < SMALLEST_BOX);
}

/** Keep only what is a mark of this kind, as anything from outside. */
export function validMarks(given: unknown, kind: MarkKind, max: number): Mark[] {
  if (!Array.isArray(given)) return [];
  const n = kind === "point" ? 2 : 4;
  return given
    .filter((mark): mark is Mark => Array.isArray(mark) && mark.length === n && mark.every((v) => typeof v === "number" && v >= 0 && v <= 1))
    .slice(0, max);
}

export type Grip = "whole" | "nw" | "ne" | "sw" | "se";

export interface Hit {
  index: number;
  grip: Grip;
}

/** The mark below a point; `reach` is how far off it may be, in fractions of width and height. */
export function hit(marks: readonly Mark[], at: Point, reach: Point): Hit | null {
  for (let index = marks.length - 1; index >= 0; index -= 1) {
    const mark = marks[index];
    const near = (x: number, y: number) => Math.abs(at.x - x) <= reach.x && Math.abs(at.y - y) <= reach.y;
    if (!isBox(mark)) {
      if (near(mark[0], mark[1])) return { index, grip: "whole" };
      continue;
    }
    const [x0, y0, x1, y1] = mark;
    if (near(x0, y0)) return { index, grip: "nw" };
    if (near(x1, y0)) return { index, grip: "ne" };
    if (near(x0, y1)) return { index, grip: "sw" };
    if (near(x1, y1)) return { index, grip: "se" };
    const inside = at.x >= x0 - reach.x && at.x <= x1 + reach.x && at.y >= y0 - reach.y && at.y <= y1 + reach.y;
    const onEdge = inside && (at.x <= x0 + reach.x || at.x >= x1 - reach.x || at.y <= y0 + reach.y || at.y >= y1 - reach.y);
    if (onEdge) return { index, grip: "whole" };
  }
  return null;
}

/** Move a mark, or a corner of a box, by a step; a whole mark stays on the film. */
export function moved(mark: Mark, grip: Grip, dx: number, dy: number): Mark {
  if (!isBox(mark)) return [rounded(mark[0] + dx), rounded(mark[1] + dy)];
  const [x0, y0, x1, y1] = mark;
  if (grip === "whole") {
    const sx = Math.min(Math.max(dx, -x0), 1 - x1);
    const sy = Math.min(Math.max(dy, -y0), 1 - y1);
    return [x0 + sx, y0 + sy, x1 + sx, y1 + sy].map(rounded);
  }
  const west = grip === "nw" || grip === "sw";
  const north = grip === "nw" || grip === "ne";
  const far = { x: west ? x1 : x0, y: north ? y1 : y0 };
  const corner = { x: (west ? x0 : x1) + dx, y: (north ? y0 : y1) + dy };
  return boxMark(far, corner);
}
