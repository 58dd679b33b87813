// The two small dialogs: skip a case with a reason, report a problem.

import { make } from "./dom";
import type { SaveState } from "./saver";
import type { Outcome } from "./types";

export const SKIP_REASONS: readonly (readonly [string, string])[] = [
  ["image_quality", "The image quality is not sufficient"],
  ["technical", "A technical problem"],
  ["not_my_field", "This is not my field"],
  ["other", "Another reason"],
];

const LONGEST_TEXT = 2000;

interface Plan {
  readonly title: string;
  readonly sentence: string;
  readonly body: readonly HTMLElement[];
  readonly confirm: string;
  /** Return what is still needed, or null. */
  readonly needs: () => string | null;
  readonly send: () => Promise<Outcome>;
}

/** Tell viewer and form whether a dialog has the keyboard. */
export function pause(paused: boolean): void {
  window.dispatchEvent(new CustomEvent("counterlight:paused", { detail: { paused } }));
}

/** Ask why a case is skipped; resolves to the outcome, or null if the reader thinks again. */
export function askSkip(
  root: HTMLElement,
  send: (reason: string, comment: string) => Promise<Outcome>,
): Promise<Outcome | null> {
  const reasons = make("div", { class: "reasons", role: "radiogroup", "aria-label": "Reason" });
  for (const [value, words] of SKIP_REASONS) {
    const radio = make("input", { type: "radio", name: "skip-reason", value });
    reasons.append(make("label", {}, radio, words));
  }
  const chosen = (): string =>
    reasons.querySelector<HTMLInputElement>("input:checked")?.value ?? "";
  const comment = textArea("Comment (optional)");
  return open(root, {
    title: "Skip this case",
    sentence: "It is recorded as skipped, with the reason, and does not come back.",
    body: [reasons, comment.label],
    confirm: "Skip the case",
    needs: () => (chosen() ? null : "Choose a reason."),
    send: () => send(chosen(), comment.area.value.trim()),
  });
}

/** Ask what is wrong; resolves to the outcome, or null. */
export function askProblem(
  root: HTMLElement,
  send: (text: string) => Promise<Outcome>,
): Promise<Outcome | null> {
  const text = textArea("What is wrong?");
  return open(root, {
    title: "Report a problem",
    sentence: "It goes to the study’s coordinator with the time and this case; your answers stay.",
    body: [text.label],
    confirm: "Send",
    needs: () => (text.area.value.trim() ? null : "Describe the problem in a few words."),
    send: () => send(text.area.value.trim()),
  });
}

function textArea(words: string): { label: HTMLElement; area: HTMLTextAreaElement } {
  const area = make("textarea", { rows: 3, maxlength: LONGEST_TEXT });
  return { label: make("label", { class: "long" }, words, area), area };
}

function open(root: HTMLElement, plan: Plan): Promise<Outcome | null> {
  return new Promise((resolve) => {
    const problem = make("p", { class: "problem", role: "alert" });
    const cancel = make("button", { type: "button", class: "tool" }, "Cancel");
    const confirm = make("button", { type: "submit", class: "tool strong" }, plan.confirm);
    const form = make(
      "form",
      { method: "dialog" },
      make("h2", { id: "dialog-title" }, plan.title),
      make("p", {}, plan.sentence),
      ...plan.body,
      problem,
      make("div", { class: "dialog-row" }, cancel, confirm),
    );
    const dialog = make("dialog", { "aria-labelledby": "dialog-title" }, form);
    let outcome: Outcome | null = null;
    let sending = false;

    const submit = async (): Promise<void> => {
      const needed = plan.needs();
      problem.textContent = needed ?? "";
      if (needed !== null || sending) return;
      sending = confirm.disabled = true;
      const result = await plan.send();
      sending = confirm.disabled = false;
      if (result.kind === "saved" || result.kind === "moved") {
        outcome = result;
        dialog.close();
      } else {
        problem.textContent = said(result);
      }
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void submit();
    });
    cancel.addEventListener("click", () => dialog.close());
    // Keys inside belong to the dialog alone: neither viewer, form nor Streamlit see them.
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => {
      dialog.remove();
      pause(false);
      resolve(outcome);
    });
    root.append(dialog);
    pause(true);
    dialog.showModal();
    dialog.querySelector<HTMLElement>("input, textarea")?.focus();
  });
}

/** Say in a sentence why something was not saved. */
export function said(outcome: Outcome | SaveState): string {
  switch (outcome.kind) {
    case "saved":
    case "unsaved":
      return "";
    case "lost":
      return "The connection is lost. Try again; nothing is sent twice.";
    case "signedOut":
      return "You are signed out. Your answers stay here; sign in again to save them.";
    default:
      return outcome.problem;
  }
}
