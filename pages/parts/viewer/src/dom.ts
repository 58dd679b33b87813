// Small helpers for building elements.

export function element<K extends keyof HTMLElementTagNameMap>(tag: K, className = "", text?: string): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function button(label: string, title: string, onClick: () => void, pressed?: boolean): HTMLButtonElement {
  const node = element("button", "tool", label);
  node.type = "button";
  node.title = title;
  if (pressed !== undefined) setPressed(node, pressed);
  node.addEventListener("click", (event) => {
    onClick();
    if (event.detail > 0) node.blur(); // clicked, not reached by Tab: Space is the viewer's again
  });
  return node;
}

export function setPressed(node: HTMLElement, pressed: boolean): void {
  node.setAttribute("aria-pressed", String(pressed));
}

export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function select(name: string, title: string, options: readonly string[], onChange: (value: string) => void): HTMLSelectElement {
  const node = element("select", "choice");
  node.setAttribute("aria-label", name);
  node.title = title;
  node.append(...options.map((each) => new Option(each, each)));
  let pointed = false;
  node.addEventListener("pointerdown", () => (pointed = true));
  node.addEventListener("keydown", () => (pointed = false));
  node.addEventListener("change", () => {
    onChange(node.value);
    if (pointed) node.blur(); // the keys belong to the viewer again
  });
  return node;
}
