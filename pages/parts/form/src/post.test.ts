import { describe, expect, it, vi } from "vitest";
import { outcome, poster } from "./post";

describe("what an answer of the server means", () => {
  it("is saved only by the server's own words", () => {
    expect(outcome(200, { saved_at: "t" })).toEqual({ kind: "saved", savedAt: "t" });
    expect(outcome(200, {})).toEqual({ kind: "lost" });
  });

  it("tells refusal, elsewhere, busy, signed out and lost apart", () => {
    expect(outcome(422, { problem: "No.", item: "a" })).toEqual({
      kind: "refused", problem: "No.", item: "a",
    });
    expect(outcome(409, { problem: "Done." })).toEqual({ kind: "moved", problem: "Done." });
    expect(outcome(503, {}).kind).toBe("busy");
    expect(outcome(401, {}).kind).toBe("signedOut");
    expect(outcome(403, {}).kind).toBe("signedOut");
    expect(outcome(404, {}).kind).toBe("refused");
    expect(outcome(502, {}).kind).toBe("lost");
  });
});

describe("posting", () => {
  it("goes to the reading's own address with the token, as JSON", async () => {
    const send = vi.fn(() => Promise.resolve(new Response('{"saved_at": "t"}')));
    const post = poster("0a1b", () => "token", send as unknown as typeof fetch);
    expect(await post("draft", { number: 1 })).toEqual({ kind: "saved", savedAt: "t" });
    const [address, init] = send.mock.calls[0] as unknown as [string, RequestInit];
    expect(address).toBe("/readings/0a1b/draft");
    expect(init.headers).toEqual({
      "Content-Type": "application/json",
      "X-Counterlight-CSRF": "token",
    });
    expect(init.redirect).toBe("error");
  });

  it("takes a failing network and a foreign page for a lost connection", async () => {
    const broken = poster("a", () => "", () => Promise.reject(new TypeError("offline")));
    expect(await broken("submit", {})).toEqual({ kind: "lost" });
    const portal = poster("a", () => "", () => Promise.resolve(new Response("<html>")));
    expect(await portal("submit", {})).toEqual({ kind: "lost" });
  });
});
