// Toggles: a few factors, each lowered, as it is, or raised; every combination is a picture that has
// been fetched. Pictures are ordered as numbers of base 3 with the digits −, 0, + and the first factor
// as the leading digit, so that the unchanged one stands in the middle.

import type { SwitchData } from "./data";
import { button, element, setPressed, setText } from "./dom";
import { KEYS, type Action } from "./keys";

export type State = -1 | 0 | 1;

const STATES: readonly State[] = [-1, 0, 1];
const SIGNS = ["−", "0", "+"] as const;
const WORDS = ["lowered", "as it is", "raised"] as const;

/** State of every factor in a picture. */
export function statesOf(index: number, n: number): State[] {
  const states: State[] = [];
  for (let rest = index, k = 0; k < n; k += 1, rest = Math.floor(rest / 3)) states.unshift(((rest % 3) - 1) as State);
  return states;
}

/** The picture of a combination. */
export function indexOf(states: readonly State[]): number {
  return states.reduce((index: number, state) => 3 * index + state + 1, 0);
}

/** The picture after setting one factor. */
export function withState(index: number, n: number, factor: number, state: State): number {
  return indexOf(statesOf(index, n).map((each, k) => (k === factor ? state : each)));
}

/** One step up or down; the ends stay. */
export function stepped(index: number, n: number, factor: number, by: 1 | -1): number {
  const now = statesOf(index, n)[factor];
  return withState(index, n, factor, Math.min(Math.max(now + by, -1), 1) as State);
}

/** As it is logged: "-0+". */
export function signs(index: number, n: number): string {
  return statesOf(index, n).map((state) => "-0+"[state + 1]).join("");
}

/** As it is read out. */
export function spokenStates(index: number, titles: readonly string[]): string {
  return statesOf(index, titles.length).map((state, k) => `${titles[k]} ${WORDS[state + 1]}`).join(", ");
}

/** Which factor an action is about, and in which direction; `null` for any other action. */
export function stepOf(action: Action): { factor: number; by: 1 | -1 } | null {
  const found = /^(raise|lower)([1-4])$/.exec(action);
  return found ? { factor: Number(found[2]) - 1, by: found[1] === "raise" ? 1 : -1 } : null;
}

/** The row of switches below the panels. */
export class Switches {
  readonly row = element("div", "switches");
  private readonly buttons: HTMLButtonElement[][] = [];
  private readonly says = element("span", "says");

  constructor(private readonly data: SwitchData, private readonly set: (factor: number, state: State) => void) {
    if (data.note) {
      this.row.append(element("span", "note", data.note));
      return;
    }
    data.titles.forEach((title, factor) => this.row.append(this.group(title, factor)));
  }

  /** What the classifier says of the picture shown; absent where the protocol does not show it. */
  get text(): HTMLElement | null {
    return this.data.texts && !this.data.note ? this.says : null;
  }

  private group(title: string, factor: number): HTMLElement {
    const group = element("span", "switch");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", title);
    const name = element("span", "factor", title);
    const key = KEYS.find((each) => each.action === `raise${factor + 1}`)?.shown ?? "";
    name.title = title;
    const states = element("span", "states");
    const made = STATES.map((state) => {
      const one = button(SIGNS[state + 1], `${title}: ${WORDS[state + 1]} (${key} raises, Shift ${key} lowers)`, () => this.set(factor, state), false);
      one.setAttribute("aria-label", `${title}: ${WORDS[state + 1]}`);
      return one;
    });
    this.buttons.push(made);
    states.append(...made);
    group.append(name, states);
    return group;
  }

  update(index: number): void {
    if (this.data.note) return;
    statesOf(index, this.buttons.length).forEach((state, factor) => {
      this.buttons[factor].forEach((each, place) => setPressed(each, place === state + 1));
    });
    setText(this.says, this.data.texts?.[index] ?? "");
  }
}
