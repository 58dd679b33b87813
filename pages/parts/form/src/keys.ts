// The keys of the form: digits answer, Enter submits, N goes to the text.

import { isTyping, origin } from "./dom";

interface Acts {
  /** Answer the active item; false if the digit means nothing there. */
  digit(digit: number): boolean;
  submit(): void;
  nextText(): boolean;
  isPaused(): boolean;
}

export class FormKeys {
  constructor(
    private readonly root: HTMLElement,
    private readonly acts: Acts,
  ) {}

  /** Take a key that was pressed anywhere on the page, before anybody else has seen it. */
  press(event: KeyboardEvent): void {
    // Streamlit reruns on R and clears its cache on C; inside a component it takes text for none.
    if (/^[rc]$/i.test(event.key) && !event.ctrlKey && !event.metaKey) event.stopPropagation();
    if (this.acts.isPaused() || event.altKey || event.metaKey) return;
    const target = origin(event);
    const typing = isTyping(target);
    if (event.key === "Enter") {
      if (this.submits(event, target)) {
        event.preventDefault();
        if (!event.repeat) this.acts.submit();
      }
      return;
    }
    if (typing || event.ctrlKey || event.repeat) return;
    if (/^[1-9]$/.test(event.key) && this.acts.digit(Number(event.key))) event.preventDefault();
    else if (/^n$/i.test(event.key) && this.acts.nextText()) event.preventDefault();
  }

  /** Say whether Enter submits where it was pressed. */
  private submits(event: KeyboardEvent, target: Element | null): boolean {
    if (target instanceof HTMLTextAreaElement) return event.ctrlKey && this.holds(target);
    if (event.ctrlKey || event.shiftKey) return false;
    if (target === null || target.closest(".options, .submit, .scale-row") !== null) return true;
    if (target.closest("button, a, summary, select, input:not([type=range])") === null) return true;
    // Enter works a button that was reached by the keyboard; after a mere click it submits.
    return !target.matches(":focus-visible");
  }

  private holds(target: Element): boolean {
    return this.root.contains(target);
  }
}
