// Posting to our own routes, and what came of it.

import type { Outcome, Post } from "./types";

const TIMEOUT_MS = 15_000;

/** Return a function that posts JSON about one reading. */
export function poster(assignment: string, csrf: () => string, send: typeof fetch): Post {
  return async (action, body, keepalive = false) => {
    const address = `/readings/${encodeURIComponent(assignment)}/${action}`;
    const aborter = new AbortController();
    const timer = setTimeout(() => aborter.abort(), TIMEOUT_MS);
    try {
      const response = await send(address, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Counterlight-CSRF": csrf() },
        body: JSON.stringify(body),
        credentials: "same-origin",
        redirect: "error",
        cache: "no-store",
        keepalive,
        signal: aborter.signal,
      });
      return outcome(response.status, await content(response));
    } catch {
      return { kind: "lost" }; // network, timeout, or a redirect to somebody else's page
    } finally {
      clearTimeout(timer);
    }
  };
}

async function content(response: Response): Promise<Readonly<Record<string, unknown>>> {
  try {
    const value: unknown = await response.json();
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Read an answer of the server; only its own words count as saved. */
export function outcome(status: number, said: Readonly<Record<string, unknown>>): Outcome {
  const problem = typeof said.problem === "string" && said.problem !== "" ? said.problem : null;
  const item = typeof said.item === "string" ? said.item : null;
  if (status === 200 && typeof said.saved_at === "string") {
    return { kind: "saved", savedAt: said.saved_at };
  }
  if (status === 401 || status === 403) return { kind: "signedOut" };
  if (status === 404) {
    return {
      kind: "refused",
      problem: "This reading does not belong to the account that is signed in; reload the page.",
      item: null,
    };
  }
  if (status === 409) {
    return { kind: "moved", problem: problem ?? "This reading was finished in another window." };
  }
  if (status === 503 || status === 429) {
    return { kind: "busy", problem: problem ?? "The server cannot save at present." };
  }
  if (status >= 400 && status < 500) {
    return { kind: "refused", problem: problem ?? "The server refused the answers.", item };
  }
  return { kind: "lost" };
}
