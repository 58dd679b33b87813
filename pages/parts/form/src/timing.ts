// How long a reading took in the browser: first paint, first interaction, seen and hidden time.

import type { Spent } from "./copy";

/** Times are in milliseconds; the clock is `performance.now`. */
export class Timing {
  private readonly started: number;
  private paintedAt: number | null = null;
  private since: number;
  private hiddenNow: boolean;
  private readonly spent: { active: number; hidden: number };
  private firstPaint: number | null;
  private firstInteraction: number | null;
  private readonly activeBefore: number;

  constructor(
    private readonly now: () => number,
    hidden: boolean,
    before: Spent | null,
  ) {
    this.started = this.since = now();
    this.hiddenNow = hidden;
    this.activeBefore = before?.active ?? 0;
    this.spent = { active: this.activeBefore, hidden: before?.hidden ?? 0 };
    this.firstPaint = before?.firstPaint ?? null;
    this.firstInteraction = before?.firstInteraction ?? null;
  }

  /** The pictures are complete for the first time; what was waited before is not reading time. */
  painted(at: number): void {
    if (this.paintedAt !== null) return;
    this.paintedAt = Math.max(at, this.started);
    this.since = Math.max(this.since, this.paintedAt);
    this.firstPaint ??= this.paintedAt - this.started;
    this.spent.active = this.activeBefore;
  }

  /** The reader pressed a key, the mouse or the wheel. */
  interacted(): void {
    if (this.firstInteraction === null) this.firstInteraction = this.total();
  }

  visibility(hidden: boolean): void {
    this.settle();
    this.hiddenNow = hidden;
  }

  private settle(): void {
    const now = this.now();
    const passed = Math.max(0, now - this.since);
    if (this.hiddenNow) this.spent.hidden += passed;
    else this.spent.active += passed;
    this.since = now;
  }

  private total(): number {
    this.settle();
    return this.spent.active + this.spent.hidden;
  }

  /** What is kept over a reload. */
  carried(): Spent {
    this.settle();
    const { firstPaint, firstInteraction } = this;
    return { firstPaint, firstInteraction, ...this.spent };
  }

  /** What goes to the server with the answers. */
  sent(): Readonly<Record<string, number>> {
    const { firstPaint, firstInteraction, active, hidden } = this.carried();
    const times: Record<string, number> = {
      active_ms: Math.round(active),
      hidden_ms: Math.round(hidden),
      total_ms: Math.round(active + hidden),
    };
    if (firstPaint !== null) times.first_paint_ms = Math.round(firstPaint);
    if (firstInteraction !== null) times.first_interaction_ms = Math.round(firstInteraction);
    return times;
  }
}
