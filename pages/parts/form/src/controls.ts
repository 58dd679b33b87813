// One control per item: it shows an answer and reports a changed one. It keeps no answer itself.

import { isGiven, SCALE_MAXIMUM, toggled } from "./answers";
import { button, make } from "./dom";
import type { Answer, Item, Mark } from "./types";

export interface Control {
  readonly item: Item;
  readonly element: HTMLElement;
  show(answer: Answer | undefined): void;
  focus(): void;
  /** Take a digit as the beginning of a number; only scales do. */
  type?(digit: number): void;
}

export interface Desk {
  answered(item: Item, answer: Answer | undefined): void;
  /** Begin or end marking on the film. */
  mark(item: Item): void;
}

/** Build the control of an item; `number` is what the reader sees before the question. */
export function control(item: Item, number: string, desk: Desk): Control {
  switch (item.kind) {
    case "likert":
      return new Choices(item, number, desk, likertOptions(item), "row");
    case "choice":
    case "multi_choice":
      return new Choices(item, number, desk, item.options, "column");
    case "scale":
      return new Scale(item, number, desk);
    case "text":
      return new Text(item, number, desk);
    case "point":
    case "box":
      return new Marks(item, number, desk);
  }
}

function likertOptions(item: Item): readonly { id: string; label: string }[] {
  return Array.from({ length: item.points }, (_, at) => ({ id: `${at + 1}`, label: `${at + 1}` }));
}

/** Question and frame that every control has; nothing in it changes its height later. */
function frame(item: Item, number: string, role: string): { box: HTMLElement; label: HTMLElement } {
  const name = `question-${item.id}`;
  const label = make("div", { class: "question", id: name });
  if (number) label.append(make("span", { class: "number", "aria-hidden": "true" }, number));
  label.append(item.question);
  if (!item.required) label.append(make("span", { class: "optional" }, " (optional)"));
  const box = make("div", { class: "item", "data-item": item.id, "data-kind": item.kind }, label);
  if (role) {
    box.setAttribute("role", role);
    box.setAttribute("aria-labelledby", name);
    if (item.required && role === "radiogroup") box.setAttribute("aria-required", "true");
  }
  return { box, label };
}

function anchors(item: Item): HTMLElement {
  const ends = make("div", { class: "anchors", id: `anchors-${item.id}` });
  ends.append(make("span", {}, item.low), make("span", {}, item.high));
  return ends;
}

/** Buttons of which one (or, for a multiple choice, any number) is chosen. */
class Choices implements Control {
  readonly element: HTMLElement;
  private readonly buttons: HTMLButtonElement[] = [];
  private readonly several: boolean;
  private answer: Answer | undefined;

  constructor(
    readonly item: Item,
    number: string,
    private readonly desk: Desk,
    private readonly options: readonly { readonly id: string; readonly label: string }[],
    shape: "row" | "column",
  ) {
    this.several = item.kind === "multi_choice";
    const { box } = frame(item, number, this.several ? "group" : "radiogroup");
    const list = make("div", { class: `options ${shape}` });
    options.forEach((option, at) => {
      const one = button("", "option", () => this.pick(option.id), {
        role: this.several ? "checkbox" : "radio",
        "aria-checked": "false",
        "aria-label": option.label,
        "aria-keyshortcuts": at < 9 ? `${at + 1}` : undefined,
      });
      if (shape === "column" && at < 9) {
        one.append(make("kbd", { "aria-hidden": "true" }, `${at + 1}`));
      }
      one.append(option.label);
      this.buttons.push(one);
      list.append(one);
    });
    list.addEventListener("keydown", (event) => this.step(event));
    box.append(list);
    if (item.low || item.high) {
      box.append(anchors(item));
      box.setAttribute("aria-describedby", `anchors-${item.id}`);
    }
    this.element = box;
    this.show(undefined);
  }

  /** Arrow keys move the focus, not the answer: Space or a digit answers. */
  private step(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = this.buttons.findIndex((one) => one === event.target);
    if (by === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.buttons[(at + by + this.buttons.length) % this.buttons.length]?.focus();
  }

  private pick(id: string): void {
    if (this.item.kind === "likert") this.desk.answered(this.item, Number(id));
    else if (!this.several) this.desk.answered(this.item, id);
    else this.desk.answered(this.item, toggled(this.item, id, this.answer));
  }

  show(answer: Answer | undefined): void {
    this.answer = answer;
    const chosen = Array.isArray(answer) ? answer.map(String) : [String(answer ?? "")];
    this.buttons.forEach((one, at) => {
      const on = chosen.includes(this.options[at]?.id ?? "");
      one.setAttribute("aria-checked", String(on));
    });
    // Digits reach the first nine options, so that the group can be one stop of the Tab key.
    const one = !this.several && this.buttons.length <= 9;
    const stop = this.buttons.findIndex((each) => each.getAttribute("aria-checked") === "true");
    this.buttons.forEach((each, at) => {
      each.tabIndex = !one || at === Math.max(0, stop) ? 0 : -1;
    });
  }

  focus(): void {
    this.buttons.find((one) => one.tabIndex === 0)?.focus();
  }
}

/** A slider from 0 to 100 with its number; it has no thumb before it is answered. */
class Scale implements Control {
  readonly element: HTMLElement;
  private readonly slider: HTMLInputElement;
  private readonly number: HTMLInputElement;

  constructor(
    readonly item: Item,
    number: string,
    private readonly desk: Desk,
  ) {
    const { box, label } = frame(item, number, "group");
    const shared = { min: 0, max: SCALE_MAXIMUM, step: 1, "aria-labelledby": label.id };
    this.slider = make("input", {
      type: "range",
      class: "scale",
      ...shared,
      "aria-describedby": `anchors-${item.id}`,
    });
    this.number = make("input", {
      type: "text",
      class: "value",
      inputmode: "numeric",
      maxlength: 3,
      autocomplete: "off",
      placeholder: "–",
      "aria-label": `${item.question}, number from 0 to 100`,
    });
    this.slider.addEventListener("input", () => this.report(Number(this.slider.value)));
    // A click that lands on the thumb's resting place changes nothing and is an answer all the same.
    this.slider.addEventListener("pointerup", () => {
      this.report(Number(this.slider.value));
      this.slider.blur(); // the arrow keys go back to the film
    });
    this.slider.addEventListener("keydown", (event) => {
      const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
      if (keys.includes(event.key)) event.stopPropagation();
    });
    this.number.addEventListener("input", () => this.read());
    this.number.addEventListener("blur", () => this.show(this.shown));
    box.append(make("div", { class: "scale-row" }, this.slider, this.number), anchors(item));
    this.element = box;
    this.show(undefined);
  }

  private shown: Answer | undefined;

  private report(value: number): void {
    this.desk.answered(this.item, value);
  }

  private read(): void {
    const digits = this.number.value.replace(/\D/g, "");
    const value = digits === "" ? undefined : Math.min(SCALE_MAXIMUM, Number(digits));
    this.desk.answered(this.item, value);
  }

  type(digit: number): void {
    this.number.focus();
    this.number.value = String(digit);
    this.number.setSelectionRange(1, 1);
    this.read();
  }

  show(answer: Answer | undefined): void {
    this.shown = answer;
    const value = typeof answer === "number" ? String(answer) : "";
    this.slider.classList.toggle("unset", value === "");
    this.slider.value = value === "" ? String(SCALE_MAXIMUM / 2) : value;
    this.slider.setAttribute("aria-valuetext", value === "" ? "not answered" : value);
    if (this.number.value !== value) this.number.value = value;
  }

  focus(): void {
    this.slider.focus();
  }
}

/** Free text. */
class Text implements Control {
  readonly element: HTMLElement;
  private readonly area: HTMLTextAreaElement;

  constructor(
    readonly item: Item,
    number: string,
    desk: Desk,
  ) {
    const { box, label } = frame(item, number, "");
    this.area = make("textarea", {
      rows: 3,
      maxlength: item.maxLength,
      "aria-labelledby": label.id,
      "aria-required": item.required ? "true" : undefined,
    });
    this.area.addEventListener("input", () => desk.answered(item, this.area.value));
    this.area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.area.blur();
    });
    label.addEventListener("click", () => this.area.focus());
    box.append(this.area);
    this.element = box;
  }

  show(answer: Answer | undefined): void {
    const value = typeof answer === "string" ? answer : "";
    if (this.area.value.trim() !== value.trim()) this.area.value = value;
  }

  focus(): void {
    this.area.focus();
  }
}

/** Marks that the reader sets on the film, in the viewer. */
class Marks implements Control {
  readonly element: HTMLElement;
  private readonly toggle: HTMLButtonElement;
  private readonly clear: HTMLButtonElement;
  private readonly count: HTMLElement;
  private marks: readonly Mark[] = [];

  constructor(
    readonly item: Item,
    number: string,
    private readonly desk: Desk,
  ) {
    const { box } = frame(item, number, "group");
    const what = item.kind === "point" ? "point" : "box";
    const begin = (): void => {
      desk.mark(item);
      this.toggle.blur(); // Space and the arrow keys go to the film
    };
    this.toggle = button(`Mark a ${what}`, "tool", begin, { "aria-pressed": "false" });
    this.clear = button("Remove last", "tool", () => this.removeLast());
    this.count = make("span", { class: "count", role: "status" });
    box.append(make("div", { class: "mark-row" }, this.toggle, this.clear, this.count));
    this.element = box;
    this.show(undefined);
  }

  private removeLast(): void {
    const left = this.marks.slice(0, -1);
    this.desk.answered(this.item, left.length > 0 ? left : undefined);
  }

  show(answer: Answer | undefined): void {
    this.marks = isGiven(answer) && Array.isArray(answer) ? (answer as readonly Mark[]) : [];
    this.count.textContent = `${this.marks.length} of ${this.item.maxMarks}`;
    this.clear.disabled = this.marks.length === 0;
  }

  /** Show whether the viewer is taking marks for this item. */
  marking(on: boolean): void {
    this.toggle.setAttribute("aria-pressed", String(on));
  }

  focus(): void {
    this.toggle.focus();
  }
}

/** Show which control, if any, the viewer takes marks for. */
export function showMarking(controls: readonly Control[], item: string | null): void {
  for (const each of controls) {
    if (each instanceof Marks) each.marking(each.item.id === item);
  }
}
