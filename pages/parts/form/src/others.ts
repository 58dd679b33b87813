// The same reading in other windows of this browser.

import type { Answers } from "./types";

const CHANNEL = "counterlight";

interface Acts {
  /** The reading was finished there. */
  done(): void;
  /** Answers were changed there. */
  draft(answers: Readonly<Record<string, unknown>>, number: number): void;
}

/** Tells other windows about this reading and hears from them; without the API nothing happens. */
export class OtherWindows {
  private readonly channel: BroadcastChannel | null;

  constructor(
    private readonly id: string,
    acts: Acts,
  ) {
    this.channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(CHANNEL);
    this.channel?.addEventListener("message", (event: MessageEvent<unknown>) => {
      const said = (event.data ?? {}) as Record<string, unknown>;
      if (said.id !== this.id) return;
      if (said.kind === "done") acts.done();
      const { answers, number } = said;
      if (said.kind === "draft" && typeof answers === "object" && answers !== null) {
        if (typeof number === "number") acts.draft(answers as Record<string, unknown>, number);
      }
    });
  }

  tellDone(): void {
    this.channel?.postMessage({ kind: "done", id: this.id });
  }

  tellDraft(answers: Answers, number: number): void {
    this.channel?.postMessage({ kind: "draft", id: this.id, answers, number });
  }

  close(): void {
    this.channel?.close();
  }
}
