// The form's elements. Every line has its room from the start, so that nothing ever moves.

import type { Control } from "./controls";
import { button, make } from "./dom";
import type { Mode, ReadingData } from "./types";

export interface Parts {
  readonly root: HTMLElement;
  readonly items: HTMLFieldSetElement;
  readonly submit: HTMLButtonElement | null;
  readonly skip: HTMLButtonElement | null;
  readonly reason: HTMLTextAreaElement | null;
  readonly message: HTMLElement;
  readonly status: HTMLElement;
}

interface Acts {
  submit(): void;
  skip(): void;
}

const SUBMIT_WORDS: Readonly<Record<Mode, string>> = {
  read: "Next case",
  practice: "Answer",
  revise: "Save the change",
  review: "",
};

/** Fill the host with the form of one reading. */
export function build(
  host: HTMLElement,
  data: ReadingData,
  controls: readonly Control[],
  acts: Acts,
): Parts {
  const head = make("div", { class: "head" }, make("h1", {}, data.finding));
  if (data.probability) head.append(make("p", { class: "model" }, data.probability));
  const items = make("fieldset", { class: "items", "aria-label": "Questions" });
  items.append(...controls.map((each) => each.element));
  const reason = data.mode === "revise" ? reasonArea(items) : null;
  if (data.mode === "review") items.disabled = true;

  const submit = SUBMIT_WORDS[data.mode] ? submitButton(SUBMIT_WORDS[data.mode], acts) : null;
  const skippable = data.skips && data.mode === "read";
  const skip = skippable ? button("Skip this case", "link", () => acts.skip()) : null;
  const message = make("div", { class: "message", role: "alert" });
  const status = make("div", { class: "status", role: "status" });
  const foot = make("div", { class: "foot" });
  if (submit) foot.append(submit);
  foot.append(message, make("div", { class: "last" }, status, ...(skip ? [skip] : [])));

  const root = make("section", {
    class: "reading-form",
    "data-reading": data.id,
    "data-mode": data.mode,
    "aria-label": "Questions about this case",
  });
  root.style.setProperty("--reserved", `${data.reserved}px`);
  root.append(head, items, foot);
  host.replaceChildren(root);
  return { root, items, submit, skip, reason, message, status };
}

function submitButton(words: string, acts: Acts): HTMLButtonElement {
  const node = button(words, "submit", () => acts.submit(), { "aria-keyshortcuts": "Enter" });
  node.append(make("kbd", { "aria-hidden": "true" }, "⏎"));
  return node;
}

function reasonArea(items: HTMLElement): HTMLTextAreaElement {
  const label = make("div", { class: "question", id: "question-reason" }, "Reason for the change");
  const area = make("textarea", {
    rows: 2,
    maxlength: 2000,
    "aria-labelledby": label.id,
    "aria-required": "true",
  });
  items.append(make("div", { class: "item" }, label, area));
  return area;
}
