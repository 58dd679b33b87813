import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DEBOUNCE_MS, LONGEST_WAIT_MS, Saver, type SaveState } from "./saver";
import type { Outcome } from "./types";

interface Sent {
  readonly answers: Record<string, unknown>;
  readonly number: number;
}

const saved: Outcome = { kind: "saved", savedAt: "2026-01-02T03:04:05+00:00" };

function bench(answerWith: () => Promise<Outcome> = () => Promise.resolve(saved), number = 0) {
  const sent: Sent[] = [];
  const states: SaveState[] = [];
  const post = vi.fn((_action: string, body: unknown) => {
    sent.push(body as Sent);
    return answerWith();
  });
  const ports = { post, now: () => Date.now(), report: (state: SaveState) => states.push(state) };
  return { sent, states, post, saver: new Saver(ports, number) };
}

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

describe("autosave", () => {
  it("sends the last of several quick changes, once", async () => {
    const { saver, sent, states } = bench();
    saver.change({ t: "a" });
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS / 2);
    saver.change({ t: "ab" });
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS);
    expect(sent.map((each) => each.answers)).toEqual([{ t: "ab" }]);
    expect(states.at(-1)).toEqual({ kind: "saved", at: saved.savedAt });
    expect(saver.isSaved).toBe(true);
  });

  it("saves somebody who never stops typing", async () => {
    const { saver, sent } = bench();
    for (let at = 0; at < LONGEST_WAIT_MS + 400; at += 200) {
      saver.change({ t: `${at}` });
      await vi.advanceTimersByTimeAsync(200);
    }
    expect(sent.length).toBeGreaterThanOrEqual(1);
  });

  it("numbers drafts upwards even where the clock is behind or stands still", () => {
    const { saver } = bench(undefined, 5_000_000);
    const first = saver.change({ a: 1 });
    expect(first).toBe(5_000_001);
    expect(saver.change({ a: 2 })).toBe(5_000_002);
  });

  it("does not claim to have saved what was changed while a request was under way", async () => {
    let finish: (outcome: Outcome) => void = () => undefined;
    const { saver, sent, states } = bench(() => new Promise((resolve) => (finish = resolve)));
    saver.change({ t: "a" });
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS);
    saver.change({ t: "ab" });
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS);
    expect(sent).toHaveLength(1); // one request at a time
    finish(saved);
    await vi.advanceTimersByTimeAsync(0);
    expect(states.at(-1)?.kind).toBe("unsaved");
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS);
    finish(saved);
    await vi.advanceTimersByTimeAsync(0);
    expect(sent.at(-1)?.answers).toEqual({ t: "ab" });
    expect(states.at(-1)?.kind).toBe("saved");
  });

  it("says that the connection is lost and tries again until it is saved", async () => {
    const outcomes: Outcome[] = [{ kind: "lost" }, { kind: "lost" }, saved];
    const { saver, sent, states } = bench(() => Promise.resolve(outcomes.shift() ?? saved));
    saver.change({ a: 1 });
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS);
    expect(states.at(-1)).toEqual({ kind: "lost" });
    await vi.advanceTimersByTimeAsync(1000 + 2000);
    expect(sent).toHaveLength(3);
    expect(states.at(-1)?.kind).toBe("saved");
  });

  it("tries at once when the connection is back", async () => {
    const outcomes: Outcome[] = [{ kind: "lost" }, saved];
    const { saver, sent } = bench(() => Promise.resolve(outcomes.shift() ?? saved));
    saver.change({ a: 1 });
    await vi.advanceTimersByTimeAsync(DEBOUNCE_MS);
    saver.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(sent).toHaveLength(2);
  });

  it("does not repeat what was refused, but sends the next change", async () => {
    const outcomes: Outcome[] = [{ kind: "refused", problem: "Too long.", item: null }, saved];
    const { saver, sent } = bench(() => Promise.resolve(outcomes.shift() ?? saved));
    saver.change({ a: 1 });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(1);
    saver.change({ a: 2 });
    await vi.advanceTimersByTimeAsync(2000);
    expect(sent).toHaveLength(2);
  });

  it("sends what is unsaved as the page goes away, and nothing that is saved", async () => {
    const { saver, post } = bench();
    saver.leave();
    expect(post).not.toHaveBeenCalled();
    saver.change({ a: 1 });
    saver.leave();
    expect(post).toHaveBeenCalledWith("draft", expect.objectContaining({ answers: { a: 1 } }), true);
  });

  it("is silent after it was stopped", async () => {
    const { saver, post } = bench();
    saver.change({ a: 1 });
    saver.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(post).not.toHaveBeenCalled();
  });
});
