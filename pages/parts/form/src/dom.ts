// Small helpers to build elements. Text is always set as text, never as markup.

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Make an element with attributes; `true` sets an empty attribute, `false` none. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

/** Make a button that does not take the focus from the films when it is clicked. */
export function button(
  label: string,
  className: string,
  onClick: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  const node = make("button", { type: "button", class: className, ...attributes }, label);
  node.addEventListener("mousedown", (event) => event.preventDefault());
  node.addEventListener("click", onClick);
  return node;
}

/** Return the element that an event really came from, inside shadow roots too. */
export function origin(event: Event): Element | null {
  const first = event.composedPath()[0];
  return first instanceof Element ? first : null;
}

/** Say whether typing in an element writes text there. */
export function isTyping(element: Element | null): boolean {
  if (element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement) return true;
  if (element instanceof HTMLInputElement) {
    return !["button", "checkbox", "radio", "range", "submit", "reset"].includes(element.type);
  }
  return element instanceof HTMLElement && element.isContentEditable;
}

/** Write a moment of the server in the browser's time of day, with seconds. */
export function timeOfDay(iso: string): string {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return "";
  const two = (part: number): string => String(part).padStart(2, "0");
  return [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
}
