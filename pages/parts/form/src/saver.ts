// Autosave: every change reaches the server soon, in order, and is tried again until it does.

import type { Answers, Post } from "./types";

export const DEBOUNCE_MS = 400;
export const LONGEST_WAIT_MS = 2000;
export const RETRY_MS: readonly number[] = [1000, 2000, 4000, 8000, 15_000];

export type SaveState =
  | { readonly kind: "saved"; readonly at: string }
  | { readonly kind: "unsaved" }
  | { readonly kind: "lost" }
  | { readonly kind: "busy" | "refused" | "moved"; readonly problem: string }
  | { readonly kind: "signedOut" };

interface Ports {
  readonly post: Post;
  readonly now: () => number;
  readonly report: (state: SaveState) => void;
}

/**
 * Drafts of one reading.
 *
 * A draft's number is the time at which it was made, or one more than the last where the clock
 * stood still, so that of two windows the one written in last has the higher number and a draft
 * that arrives late never replaces a newer one.
 */
export class Saver {
  private answers: Answers = {};
  private acknowledged: number;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private sending = false;
  private failures = 0;
  private unsavedSince: number | null = null;
  private stopped = false;

  constructor(
    private readonly ports: Ports,
    public number: number,
  ) {
    this.acknowledged = number;
  }

  /** Say whether the server has the newest answers. */
  get isSaved(): boolean {
    return this.acknowledged >= this.number;
  }

  /** Take over answers that the server may not have, under their own number. */
  restore(answers: Answers, number: number): void {
    this.answers = answers;
    this.number = Math.max(this.number, number);
    if (!this.isSaved) this.schedule(0);
  }

  /** Take over answers that another window has sent. */
  follow(answers: Answers, number: number): void {
    this.answers = answers;
    this.number = number;
    this.acknowledged = number;
    this.clear();
  }

  /** Note changed answers and return their number. */
  change(answers: Answers): number {
    this.answers = answers;
    this.number = Math.max(this.number + 1, Math.floor(this.ports.now()));
    this.ports.report({ kind: "unsaved" });
    this.unsavedSince ??= this.ports.now();
    const left = this.unsavedSince + LONGEST_WAIT_MS - this.ports.now();
    const soon = Math.max(0, Math.min(DEBOUNCE_MS, left)); // who never pauses is saved all the same
    this.schedule(this.failures > 0 ? this.delay() : soon);
    return this.number;
  }

  /** Try now, e.g. because the connection is back. */
  hurry(): void {
    if (!this.isSaved) this.schedule(0);
  }

  /** Send what is not saved as the page goes away; nobody waits for the answer. */
  leave(): void {
    if (this.stopped || this.isSaved) return;
    this.clear();
    void this.ports.post("draft", this.body(), true);
  }

  stop(): void {
    this.stopped = true;
    this.clear();
  }

  /** Go on after a submission that did not succeed. */
  resume(): void {
    this.stopped = false;
    this.hurry();
  }

  private body(): unknown {
    return { answers: this.answers, number: this.number };
  }

  private delay(): number {
    return RETRY_MS[Math.min(this.failures - 1, RETRY_MS.length - 1)] ?? DEBOUNCE_MS;
  }

  private schedule(delay: number): void {
    if (this.stopped) return;
    this.clear();
    this.timer = setTimeout(() => void this.send(), delay);
  }

  private clear(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private async send(): Promise<void> {
    this.timer = null;
    if (this.sending || this.stopped) return; // the running request looks again when it ends
    this.sending = true;
    this.unsavedSince = null;
    const number = this.number;
    const outcome = await this.ports.post("draft", this.body());
    this.sending = false;
    if (this.stopped) return;
    if (outcome.kind === "saved") {
      this.failures = 0;
      this.acknowledged = Math.max(this.acknowledged, number);
      if (this.isSaved) this.ports.report({ kind: "saved", at: outcome.savedAt });
      else this.schedule(DEBOUNCE_MS);
      return;
    }
    this.failures += 1;
    this.ports.report(outcome);
    if (outcome.kind === "lost" || outcome.kind === "busy" || outcome.kind === "signedOut") {
      this.schedule(this.delay());
    } else if (this.number > number) {
      this.schedule(DEBOUNCE_MS);
    }
  }
}
