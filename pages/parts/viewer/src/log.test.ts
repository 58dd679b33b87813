import { describe, expect, it } from "vitest";
import { batches, EventLog, type Entry } from "./log";

function desk(status: (call: number) => number = () => 200) {
  const bodies: string[] = [];
  const lost: boolean[] = [];
  let now = 1000;
  const log = new EventLog(
    async (body) => {
      bodies.push(body);
      return status(bodies.length);
    },
    () => now,
    (is) => lost.push(is),
  );
  const entries = () => bodies.flatMap((body) => JSON.parse(body).entries as Entry[]);
  return { log, bodies, lost, entries, at: (time: number) => (now = time) };
}

describe("the log", () => {
  it("counts from the first paint, and sends nothing before it", async () => {
    const { log, at, entries, bodies } = desk();
    at(900);
    log.note("invert", 1);
    await log.flush();
    expect(bodies).toEqual([]);
    log.painted(1000);
    at(1500);
    log.note("reset");
    await log.flush();
    expect(entries()).toEqual([
      { at_ms: -100, kind: "invert", value: 1 },
      { at_ms: 0, kind: "paint", value: null },
      { at_ms: 500, kind: "reset", value: null },
    ]);
  });

  it("keeps the frames that were looked at, not those passed through", async () => {
    const { log, at, entries } = desk();
    log.painted(1000);
    for (const [time, frame] of [[1100, 9], [1120, 8], [1140, 7], [1900, 6], [2500, 5], [2520, 6]]) {
      at(time);
      log.note("frame", frame);
    }
    await log.flush();
    expect(entries().map(({ at_ms, value }) => [at_ms, value])).toEqual([[0, null], [140, 7], [900, 6]]);
  });

  it("makes one entry of one movement, with where it ended", async () => {
    const { log, at, entries } = desk();
    log.painted(1000);
    for (let k = 0; k < 50; k += 1) {
      at(1100 + 16 * k);
      log.note("window", `${255 - k}/128`);
    }
    log.note("zoom", 2);
    log.note("window", "100/90");
    await log.flush();
    expect(entries().map((each) => each.value)).toEqual([null, "206/128", 2, "100/90"]);
  });

  it("keeps what did not arrive and sends it again, in order", async () => {
    const { log, lost, entries, bodies } = desk((call) => (call === 1 ? 0 : 200));
    log.painted(1000);
    log.note("invert", 1);
    await log.flush();
    log.note("reset");
    await log.flush();
    expect(bodies.length).toBe(2);
    expect(entries().slice(2).map((each) => each.kind)).toEqual(["paint", "invert", "reset"]);
    expect(lost).toEqual([true, false]);
  });

  it("does not send again what was refused", async () => {
    const { log, bodies } = desk(() => 422);
    log.painted(1000);
    await log.flush();
    await log.flush();
    expect(bodies.length).toBe(1);
  });

  it("sends nothing twice when the page is left during a post", async () => {
    const answers: ((status: number) => void)[] = [];
    const bodies: string[] = [];
    const log = new EventLog((body) => (bodies.push(body), new Promise((done) => answers.push(done))), () => 0);
    log.painted(0);
    const first = log.flush();
    log.note("invert", 1);
    void log.flush(true);
    expect(bodies.map((body) => JSON.parse(body).entries.length)).toEqual([1, 1]);
    for (const answer of answers) answer(200);
    await first;
  });
});

it("no post is longer than a post may be", () => {
  const entries: Entry[] = Array.from({ length: 3000 }, (_, k) => ({ at_ms: k, kind: "pan", value: "0.500,0.500 é" }));
  const cut = batches(entries);
  expect(cut.flat()).toEqual(entries);
  for (const batch of cut) expect(new TextEncoder().encode(JSON.stringify({ entries: batch })).length).toBeLessThanOrEqual(60_000);
  expect(batches([])).toEqual([]);
});
