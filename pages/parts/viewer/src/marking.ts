// Marks that the reader sets: asked for by the form, drawn on every panel, sent back when changed.

import { clamp01, panelPoint, type Point, type Room, type View } from "./geometry";
import { boxMark, hit, isBox, isTooSmall, moved, pointMark, validMarks, type Hit, type Mark, type MarkItem } from "./marks";

const COLOURS = { active: "#ffd166", other: "#8ecae6" };
const REACH_PX = 9;
const STEP = 0.02;
const SMALL_STEP = 0.002;
const MOST_MARKS = 20;

interface Drag {
  hit: Hit | null;
  from: Point;
  start: Mark;
}

export interface MarkingHandlers {
  changed: (item: MarkItem) => void;
  redraw: () => void;
  announce: (text: string) => void;
}

export class Marking {
  private readonly items = new Map<string, MarkItem>();
  private active: MarkItem | null = null;
  private cross: Point | null = null;
  private picked: Hit | null = null;
  private corner: Point | null = null;
  private drag: Drag | null = null;

  constructor(private readonly on: MarkingHandlers) {}

  get isOn(): boolean {
    return this.active !== null;
  }

  get hasAny(): boolean {
    return this.active !== null || [...this.items.values()].some((item) => item.marks.length > 0);
  }

  get label(): string {
    return this.active?.label ?? "";
  }

  /** The form asks for marks of an item, or (kind null) for none any more. */
  ask(detail: Record<string, unknown>): void {
    const item = String(detail.item ?? "");
    const kind = detail.kind === "point" || detail.kind === "box" ? detail.kind : null;
    this.drop();
    this.active = null;
    const known = this.items.get(item);
    const given = Array.isArray(detail.marks) ? detail.marks : (known?.marks ?? []);
    // Marks that are only shown tell by themselves what they are.
    const shape = kind ?? known?.kind ?? (given.some((mark) => Array.isArray(mark) && isBox(mark)) ? "box" : "point");
    const max = Math.min(Math.max(Math.floor(Number(detail.max) || 1), 1), MOST_MARKS);
    const asked = { item, kind: shape, max, marks: validMarks(given, shape, max), label: String(detail.label ?? "") };
    this.items.set(item, asked);
    if (kind !== null) this.active = asked;
    this.cross = kind === null ? null : { x: 0.5, y: 0.5 };
    this.on.redraw();
  }

  private drop(): void {
    this.picked = this.corner = this.drag = null;
  }

  // ------------------------------------------------------------------ pointer

  /** Begin a mark, or take hold of one; `room` is the size of the film on screen. */
  down(at: Point, size: Room): void {
    if (!this.active) return;
    const found = hit(this.active.marks, at, { x: REACH_PX / size.width, y: REACH_PX / size.height });
    const from = { x: clamp01(at.x), y: clamp01(at.y) };
    this.corner = null;
    this.picked = found;
    if (!found && !this.hasRoom()) return;
    this.drag = { hit: found, from, start: found ? this.active.marks[found.index] : [] };
    this.cross = from;
    this.on.redraw();
  }

  move(at: Point): void {
    if (!this.active || !this.drag) return;
    const { hit: found, from, start } = this.drag;
    this.cross = { x: clamp01(at.x), y: clamp01(at.y) };
    if (found) this.active.marks[found.index] = moved(start, found.grip, at.x - from.x, at.y - from.y);
    this.on.redraw();
  }

  up(): void {
    if (!this.active || !this.drag) return;
    const { hit: found, from, start } = this.drag;
    this.drag = null;
    if (found) {
      if (isTooSmall(this.active.marks[found.index])) this.active.marks[found.index] = start;
      if (String(this.active.marks[found.index]) !== String(start)) this.changed("moved");
    } else this.set(from, this.cross ?? from);
    this.on.redraw();
  }

  cancel(): void {
    if (this.drag?.hit && this.active) this.active.marks[this.drag.hit.index] = this.drag.start;
    this.drag = this.corner = null;
    this.on.redraw();
  }

  // ------------------------------------------------------------------ keys

  /** Whether the key was for us. */
  key(name: string, small: boolean): boolean {
    if (!this.active) return false;
    const steps: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (steps[name]) this.step(...steps[name], small ? SMALL_STEP : STEP);
    else if (name === " ") this.press();
    else if (name === "Delete" || name === "Backspace") return this.remove();
    else if (name === "Escape" && (this.corner || this.drag || this.picked)) {
      this.cancel();
      this.picked = null;
    } else return false;
    this.on.redraw();
    return true;
  }

  private step(dx: number, dy: number, by: number): void {
    const from = this.cross ?? { x: 0.5, y: 0.5 };
    this.cross = { x: clamp01(from.x + dx * by), y: clamp01(from.y + dy * by) };
    if (this.picked && this.active) {
      const { index, grip } = this.picked;
      this.active.marks[index] = moved(this.active.marks[index], grip, dx * by, dy * by);
      this.changed("moved");
    } else this.on.announce(`${percent(this.cross.x)} across, ${percent(this.cross.y)} down`);
  }

  private press(): void {
    const at = this.cross;
    if (!at || !this.active) return;
    if (this.picked) {
      this.picked = null;
      return;
    }
    if (this.corner) {
      const from = this.corner;
      this.corner = null;
      this.set(from, at);
      return;
    }
    this.picked = hit(this.active.marks, at, { x: SMALL_STEP * 5, y: SMALL_STEP * 5 });
    if (this.picked) this.on.announce("Mark picked up; arrow keys move it, Space lets go, Delete removes it");
    else if (!this.hasRoom()) this.on.announce(this.full());
    else if (this.active.kind === "point") this.set(at, at);
    else {
      this.corner = at;
      this.on.announce("First corner set; move to the opposite corner and press Space");
    }
  }

  private remove(): boolean {
    if (!this.active || this.active.marks.length === 0) return false;
    const index = this.picked?.index ?? this.active.marks.length - 1;
    this.active.marks.splice(index, 1);
    this.drop();
    this.changed("removed");
    this.on.redraw();
    return true;
  }

  private set(from: Point, to: Point): void {
    if (!this.active) return;
    const mark = this.active.kind === "point" ? pointMark(to) : boxMark(from, to);
    if (isTooSmall(mark) || !this.hasRoom()) return;
    if (this.active.max === 1) this.active.marks.length = 0;
    this.active.marks.push(mark);
    this.picked = null;
    this.changed("set");
  }

  /** One mark only: a new one takes the place of the old. */
  private hasRoom(): boolean {
    return this.active !== null && (this.active.max === 1 || this.active.marks.length < this.active.max);
  }

  private full(): string {
    return `${this.active?.max} marks are set, no more are asked for; Delete removes one`;
  }

  private changed(what: string): void {
    if (!this.active) return;
    this.on.changed(this.active);
    this.on.announce(`Mark ${what}; ${this.active.marks.length} of ${this.active.max}`);
  }

  // ------------------------------------------------------------------ drawing

  draw(context: CanvasRenderingContext2D, room: Room, aspect: number, view: View, unit: number): void {
    const place = (x: number, y: number) => panelPoint(room, aspect, view, { x, y });
    for (const item of this.items.values()) {
      const colour = item === this.active ? COLOURS.active : COLOURS.other;
      item.marks.forEach((mark, index) => {
        const thick = item === this.active && this.picked?.index === index ? 3 : 1.6;
        outlined(context, () => trace(context, mark, place, unit), colour, thick * unit);
      });
    }
    if (!this.active || !this.cross) return;
    const drawn = this.corner ?? (this.drag && !this.drag.hit && this.active.kind === "box" ? this.drag.from : null);
    if (drawn) {
      const box = boxMark(drawn, this.cross);
      outlined(context, () => trace(context, box, place, unit), COLOURS.active, 1.6 * unit);
    }
    const at = place(this.cross.x, this.cross.y);
    outlined(context, () => crossing(context, at, 16 * unit, 5 * unit), COLOURS.active, 1.4 * unit);
  }
}

function percent(value: number): string {
  return `${Math.round(100 * value)} %`;
}

// A dark line below a light one can be seen on any grey.
function outlined(context: CanvasRenderingContext2D, path: () => void, colour: string, width: number): void {
  context.beginPath();
  path();
  context.lineWidth = width + 2;
  context.strokeStyle = "rgba(0,0,0,.75)";
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

function trace(context: CanvasRenderingContext2D, mark: Mark, place: (x: number, y: number) => Point, unit: number): void {
  const from = place(mark[0], mark[1]);
  if (!isBox(mark)) {
    context.moveTo(from.x + 8 * unit, from.y);
    context.arc(from.x, from.y, 8 * unit, 0, 2 * Math.PI);
    return;
  }
  const to = place(mark[2], mark[3]);
  context.rect(from.x, from.y, to.x - from.x, to.y - from.y);
}

function crossing(context: CanvasRenderingContext2D, at: Point, arm: number, gap: number): void {
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(at.x + dx * gap, at.y + dy * gap);
    context.lineTo(at.x + dx * arm, at.y + dy * arm);
  }
}
