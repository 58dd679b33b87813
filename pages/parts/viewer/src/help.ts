// The list of keys, over the viewer.

import { button, element } from "./dom";
import { ANSWERING, KEYS, MARKING, POINTER, type Action } from "./keys";

export class Help {
  readonly box = element("div", "help");
  private readonly close: HTMLButtonElement;
  private before: HTMLElement | null = null;

  constructor(root: HTMLElement, private readonly changed: (open: boolean) => void) {
    this.box.hidden = true;
    this.box.setAttribute("role", "dialog");
    this.box.setAttribute("aria-modal", "true");
    this.box.setAttribute("aria-label", "Keys and mouse of the viewer");
    this.close = button("Close (Esc)", "Close", () => this.toggle(false));
    this.box.addEventListener("keydown", (event) => event.key === "Tab" && event.preventDefault());
    root.append(this.box);
  }

  get open(): boolean {
    return !this.box.hidden;
  }

  /** Show only what this view has; questions stand beside a reading. */
  fill(has: (action: Action) => boolean, questions: boolean): void {
    const lists = element("div", "help-lists");
    const keys = KEYS.filter((key) => has(key.action)).map((key) => [key.shown, key.help] as [string, string]);
    const half = Math.ceil(keys.length / 2);
    lists.append(list("Films", keys.slice(0, half)), list("Films, too", keys.slice(half)), list("Mouse", POINTER, "wide"));
    if (questions) lists.append(list("Questions", ANSWERING, "wide"), list("Marking", MARKING, "wide"));
    this.box.replaceChildren(element("h2", "", "Keys and mouse"), lists, this.close);
  }

  toggle(open = !this.open): void {
    if (open === this.open) return;
    const root = this.box.getRootNode() as Document | ShadowRoot;
    if (open) this.before = root.activeElement as HTMLElement | null;
    this.box.hidden = !open;
    this.changed(open);
    if (open) this.close.focus();
    else this.before?.focus();
  }
}

function list(title: string, rows: readonly (readonly [string, string])[], className = ""): HTMLElement {
  const part = element("section", className);
  part.append(element("h3", "", title));
  const terms = element("dl");
  for (const [key, meaning] of rows) terms.append(element("dt", "", key), element("dd", "", meaning));
  part.append(terms);
  return part;
}
