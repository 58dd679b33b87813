// The browser's own copy of answers that the server may not have yet.

import { adopt } from "./answers";
import type { Answers, Item } from "./types";

/** Milliseconds spent on a reading before the page was loaded again. */
export interface Spent {
  readonly firstPaint: number | null;
  readonly firstInteraction: number | null;
  readonly active: number;
  readonly hidden: number;
}

export interface Copy {
  readonly answers: Answers;
  readonly number: number;
  readonly spent: Spent | null;
}

const PREFIX = "counterlight:reading:";
const NOTE = "counterlight:note";

type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Answers in the session storage of this tab, under the reading's identifier. */
export class CopyShelf {
  constructor(
    private readonly shelf: Shelf | null,
    private readonly id: string,
  ) {}

  keep(copy: Copy): void {
    this.put(PREFIX + this.id, JSON.stringify(copy));
  }

  read(items: readonly Item[]): Copy | null {
    try {
      const value: unknown = JSON.parse(this.shelf?.getItem(PREFIX + this.id) ?? "null");
      if (typeof value !== "object" || value === null) return null;
      const { answers, number, spent } = value as Record<string, unknown>;
      if (typeof answers !== "object" || answers === null || typeof number !== "number") return null;
      return {
        answers: adopt(items, answers as Record<string, unknown>),
        number,
        spent: spentOf(spent),
      };
    } catch {
      return null; // damaged, or storage is switched off: the server's draft remains
    }
  }

  drop(): void {
    this.take(PREFIX + this.id);
  }

  /** Leave a sentence for the form of the next reading. */
  leaveNote(sentence: string): void {
    this.put(NOTE, sentence);
  }

  takeNote(): string {
    return this.take(NOTE);
  }

  private put(key: string, value: string): void {
    try {
      this.shelf?.setItem(key, value);
    } catch {
      // Full or switched off: the autosave to the server does not depend on it.
    }
  }

  private take(key: string): string {
    try {
      const value = this.shelf?.getItem(key) ?? "";
      this.shelf?.removeItem(key);
      return value;
    } catch {
      return "";
    }
  }
}

function spentOf(value: unknown): Spent | null {
  if (typeof value !== "object" || value === null) return null;
  const { firstPaint, firstInteraction, active, hidden } = value as Record<string, unknown>;
  if (!isTime(active) || !isTime(hidden)) return null;
  return {
    firstPaint: isTime(firstPaint) ? firstPaint : null,
    firstInteraction: isTime(firstInteraction) ? firstInteraction : null,
    active,
    hidden,
  };
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** Return the session storage, or null where the browser forbids it. */
export function sessionShelf(): Shelf | null {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}
