// Keys, wherever the focus is on the page, and Streamlit's own keys kept away from it.

import type { Help } from "./help";
import { actionOf, isControl, isReserved, isTyping, usesArrows, type Action } from "./keys";
import type { Marking } from "./marking";

export interface KeyboardHandlers {
  has: (action: Action) => boolean;
  run: (action: Action) => void;
  /** Escape, where nothing else took it. */
  escape: () => boolean;
}

export class Keyboard {
  /** A dialog of the page is open. */
  paused = false;

  constructor(private readonly help: Help, private readonly marking: Marking, private readonly on: KeyboardHandlers) {}

  listen(signal: AbortSignal): void {
    const options = { capture: true, signal };
    window.addEventListener("keydown", (event) => this.down(event), options);
    // React binds its own keys on keyup and keypress as well.
    for (const name of ["keyup", "keypress"] as const)
      window.addEventListener(name, (event) => this.isStreamlits(event) && event.stopImmediatePropagation(), options);
  }

  // Streamlit does not see that somebody is typing in a field within a component.
  private isStreamlits(event: KeyboardEvent): boolean {
    const target = event.composedPath()[0];
    return isReserved(event) && (!isTyping(target as HTMLElement) || target !== event.target);
  }

  private down(event: KeyboardEvent): void {
    if (this.isStreamlits(event)) event.stopImmediatePropagation();
    const target = event.composedPath()[0] as HTMLElement;
    if (this.paused || event.ctrlKey || event.metaKey || event.altKey || isTyping(target)) return;
    if (!this.handled(event, target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  private handled(event: KeyboardEvent, target: HTMLElement): boolean {
    if (this.help.open) {
      if (event.key === "Escape" || event.key === "?") this.help.toggle(false);
      return event.key === "Escape" || event.key === "?";
    }
    if (event.key.startsWith("Arrow") && usesArrows(target)) return false;
    if (["Home", "End", "PageUp", "PageDown"].includes(event.key) && usesArrows(target)) return false;
    if (event.key === " " && isControl(target)) return false;
    if (this.marking.key(event.key, event.shiftKey)) return true;
    if (event.key === "Escape") return this.on.escape();
    const action = actionOf(event);
    if (action === undefined || !this.on.has(action)) return false;
    this.on.run(action);
    return true;
  }
}
