// What the reader did with the viewer, in few words, sent to our own route now and then.

export type Kind =
  | "paint" | "frame" | "window" | "zoom" | "pan" | "invert" | "overlay" | "opacity" | "colormap" | "play" | "pause"
  | "flicker" | "toggle" | "magnifier" | "hidden" | "shown" | "reset" | "mark";

export type Value = number | string | null;

export interface Entry {
  at_ms: number;
  kind: Kind;
  value: Value;
}

export type Note = (kind: Kind, value?: Value) => void;

interface Noted {
  at: number;
  kind: Kind;
  value: Value;
}

export const POST_EVERY_MS = 5000;
export const MOST_BYTES = 60_000;
export const MOST_KEPT = 4000;
/** A frame shown more briefly than this was passed, not looked at. */
export const DWELL_MS = 100;
/** Changes of one kind that follow each other within this time are one movement. */
export const MOVEMENT_MS = 700;
const MOVEMENTS: readonly Kind[] = ["window", "zoom", "pan", "opacity"];

export type Post = (body: string, leaving: boolean) => Promise<number>;

export class EventLog {
  private noted: Noted[] = [];
  private paintedAt: number | null = null;
  private sending = false;

  constructor(
    private readonly post: Post,
    private readonly now: () => number = () => performance.now(),
    private readonly lost: (isLost: boolean) => void = () => undefined,
  ) {}

  /** First complete paint: times count from here; what was before it is negative. */
  painted(at: number): void {
    if (this.paintedAt !== null) return;
    this.paintedAt = at;
    this.noted.push({ at, kind: "paint", value: null });
  }

  note(kind: Kind, value: Value = null): void {
    const at = this.now();
    const last = this.noted.at(-1);
    if (last && last.kind === kind && this.isOne(last, at)) this.noted.pop();
    const before = this.noted.at(-1);
    // A frame that was only passed through leaves no trace, nor does coming back to it.
    if (kind === "frame" && before?.kind === "frame" && before.value === value) return;
    this.noted.push({ at, kind, value });
    if (this.noted.length > MOST_KEPT) this.noted.splice(0, this.noted.length - MOST_KEPT);
  }

  private isOne(last: Noted, at: number): boolean {
    const gap = at - last.at;
    return last.kind === "frame" ? gap < DWELL_MS : MOVEMENTS.includes(last.kind) && gap < MOVEMENT_MS;
  }

  /** Send what is there; what did not arrive is kept for the next time. When the page is left there
   * is no next time: everything goes at once. */
  async flush(leaving = false): Promise<void> {
    if ((this.sending && !leaving) || this.noted.length === 0 || (this.paintedAt === null && !leaving)) return;
    this.sending = true;
    const waiting = this.noted;
    this.noted = [];
    for (const batch of batches(waiting.map((each) => this.entry(each)))) {
      const status = await this.post(JSON.stringify({ entries: batch }), leaving).catch(() => 0);
      if (status === 0 || status >= 500) {
        this.noted = [...waiting, ...this.noted].slice(-MOST_KEPT);
        this.lost(true);
        break;
      }
      waiting.splice(0, batch.length);
      this.lost(false);
      if (status >= 400) break; // refused for good: sent again it would be refused again
    }
    this.sending = false;
  }

  private entry({ at, kind, value }: Noted): Entry {
    return { at_ms: Math.round(at - (this.paintedAt ?? at)), kind, value };
  }
}

/** Cut entries so that no body is longer than a post may be. */
export function batches(entries: readonly Entry[], mostBytes = MOST_BYTES): Entry[][] {
  const made: Entry[][] = [];
  let room = 0;
  for (const entry of entries) {
    const length = new TextEncoder().encode(JSON.stringify(entry)).length + 1;
    if (made.length === 0 || room < length) {
      made.push([]);
      room = mostBytes - 16;
    }
    made[made.length - 1].push(entry);
    room -= length;
  }
  return made;
}

/** Post with the header that our own routes demand; keepalive lets it outlive the page. */
export function poster(url: string, csrf: () => string): Post {
  return async (body) => {
    const answer = await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      keepalive: true,
      headers: { "Content-Type": "application/json", "X-Counterlight-CSRF": csrf() },
      body,
    });
    return answer.status;
  };
}
