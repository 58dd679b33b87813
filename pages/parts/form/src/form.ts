// The form of one reading: it holds the answers, saves them, and submits them exactly once.

import { adopt, byDigit, changed, counting, isAsked, isGiven, marksOf, missing, namesOf, nextOpen, takesDigits } from "./answers";
import { control, showMarking, type Control } from "./controls";
import { CopyShelf, sessionShelf } from "./copy";
import { askProblem, askSkip, said } from "./dialogs";
import { make, timeOfDay } from "./dom";
import { FormKeys } from "./keys";
import { build, type Parts } from "./layout";
import { OtherWindows } from "./others";
import { poster } from "./post";
import { RETRY_MS, Saver, type SaveState } from "./saver";
import { Timing } from "./timing";
import type { Answer, Answers, Item, Outcome, Post, ReadingData } from "./types";

const MOVED_NOTE = "The case before was finished in another window.";
const AGAIN_MS = 4000;

function isPlaced(item: Item): boolean {
  return item.kind === "point" || item.kind === "box";
}

export class ReadingForm {
  private answers: Answers;
  private active: string | null = null;
  private marking: string | null = null;
  private sending = false;
  private done = false;
  private paused = false;
  private revivable = false;
  private readonly parts: Parts;
  private readonly controls: readonly Control[];
  private readonly aborter = new AbortController();
  private readonly shelf: CopyShelf;
  private readonly saver: Saver;
  private readonly timing: Timing;
  private readonly post: Post;
  private readonly others: OtherWindows;
  private waiting: ReturnType<typeof setTimeout> | null = null;
  private wake: (() => void) | null = null;

  constructor(
    host: HTMLElement,
    private data: ReadingData,
    private trigger: (id: string) => void,
  ) {
    this.shelf = new CopyShelf(sessionShelf(), data.id);
    this.post = poster(data.id, () => this.data.csrf, (input, init) => fetch(input, init));
    this.saver = new Saver(
      { post: this.post, now: () => Date.now(), report: (state) => this.showState(state) },
      data.number,
    );
    const copy = this.autosaves ? this.shelf.read(data.items) : null;
    const newer = copy !== null && copy.number > data.number;
    this.answers = newer ? copy.answers : adopt(data.items, data.answers);
    this.timing = new Timing(
      () => performance.now(),
      document.visibilityState === "hidden",
      copy?.spent ?? null,
    );
    const desk = {
      answered: (item: Item, answer: Answer | undefined) => this.answered(item, answer),
      mark: (item: Item) => this.mark(this.marking === item.id ? null : item),
    };
    let number = 0;
    this.controls = data.items.map((item) =>
      control(item, item.kind === "text" ? "" : String((number += 1)), desk),
    );
    this.parts = build(host, data, this.controls, {
      submit: () => void this.submit(),
      skip: () => void this.skip(),
    });
    this.others = new OtherWindows(data.id, {
      done: () => this.endedElsewhere(),
      draft: (answers, number) => this.follow(answers, number),
    });
    this.showAll();
    this.showSaved(data.savedAt);
    this.say(this.shelf.takeNote());
    this.activate(nextOpen(data.items, this.answers, null));
    this.listen();
    this.fit();
    if (newer) this.saver.restore(copy.answers, copy.number);
  }

  /** The same reading after a run of the script: only what does not touch the answers is taken. */
  update(data: ReadingData, trigger: (id: string) => void): void {
    this.data = { ...this.data, csrf: data.csrf };
    this.trigger = trigger;
    if (data.number > this.saver.number && !this.done && this.autosaves) {
      this.follow(adopt(data.items, data.answers), data.number);
    }
    if (this.revivable) this.revive();
  }

  /** It was said to be over, and the script shows it all the same: it is this reading's turn. */
  private revive(): void {
    this.done = this.revivable = false;
    if (this.waiting !== null) clearTimeout(this.waiting);
    this.freeze(false);
    this.saver.resume();
  }

  stop(): void {
    this.saveBeforeLeaving();
    this.mark(null);
    this.saver.stop();
    this.others.close();
    this.aborter.abort();
    if (this.waiting !== null) clearTimeout(this.waiting);
  }

  get id(): string {
    return this.data.id;
  }

  private get autosaves(): boolean {
    return this.data.mode === "read" || this.data.mode === "practice";
  }

  private get idle(): boolean {
    return !this.sending && !this.done && !this.paused;
  }

  // -- answers -----------------------------------------------------------------------------------

  private answered(item: Item, answer: Answer | undefined, byViewer = false): void {
    if (!this.idle || this.data.mode === "review") return;
    this.answers = changed(this.answers, item, answer);
    this.show(item.id);
    this.showAsked();
    this.markMissing([]);
    this.say("");
    this.activate(item.id);
    if (isPlaced(item) && !byViewer) this.tellViewer(item, item.id === this.marking);
    if (!this.autosaves) return;
    this.shelf.keep({
      answers: this.answers,
      number: this.saver.change(this.answers),
      spent: this.timing.carried(),
    });
    this.others.tellDraft(this.answers, this.saver.number);
  }

  /** Take over what was written later in another window. */
  private follow(answers: Readonly<Record<string, unknown>>, number: number): void {
    if (!this.idle || number <= this.saver.number) return;
    this.answers = adopt(this.data.items, answers);
    this.saver.follow(this.answers, number);
    this.showAll();
  }

  private digit(digit: number): boolean {
    const active = this.data.items.find((each) => each.id === this.active);
    const open = active && takesDigits(active) ? active.id : this.nextOpen();
    const item = this.data.items.find((each) => each.id === open);
    if (!this.idle || item === undefined) return false;
    if (item.kind === "scale") {
      this.controls.find((each) => each.item.id === item.id)?.type?.(digit);
      return true;
    }
    const answer = byDigit(item, digit, this.answers[item.id]);
    if (answer === null) return false;
    this.answered(item, answer);
    if (item.kind !== "multi_choice" && !this.writeOn(item)) this.moveOn(item);
    return true;
  }

  /** Go to the required text that a digit has just called for; digits are words there. */
  private writeOn(item: Item): boolean {
    const text = this.lacking().find((each) => each.kind === "text" && each.askedIf?.item === item.id);
    const control = this.controls.find((each) => each.item.id === text?.id);
    if (control === undefined) return false;
    this.activate(control.item.id);
    control.focus();
    return true;
  }

  /** Open the next question; a focus that was in this one goes along. */
  private moveOn(item: Item): void {
    const next = nextOpen(this.data.items, this.answers, item.id) ?? item.id;
    this.activate(next);
    const focused = (this.parts.root.getRootNode() as Document | ShadowRoot).activeElement;
    const here = this.controls.find((each) => each.item.id === item.id);
    if (here?.element.contains(focused)) {
      this.controls.find((each) => each.item.id === next)?.focus();
    }
  }

  private nextOpen(): string | null {
    return nextOpen(this.data.items, this.answers, this.active);
  }

  private activate(id: string | null): void {
    this.active = id;
    for (const each of this.controls) {
      const on = each.item.id === id;
      each.element.classList.toggle("active", on);
      if (on) each.element.scrollIntoView({ block: "nearest" });
    }
  }

  private show(id: string): void {
    this.controls.find((each) => each.item.id === id)?.show(this.answers[id]);
    this.parts.submit?.classList.toggle("complete", this.lacking().length === 0);
  }

  private showAll(): void {
    for (const each of this.controls) this.show(each.item.id);
    this.showAsked();
  }

  /** Grey out what waits for another answer; its room stays, so that nothing moves. */
  private showAsked(): void {
    for (const { item, element } of this.controls) {
      if (item.askedIf) element.toggleAttribute("inert", !isAsked(item, this.answers));
    }
  }

  private lacking(): readonly Item[] {
    return missing(this.data.items, this.answers);
  }

  private markMissing(items: readonly Item[]): void {
    for (const each of this.controls) {
      const lacks = items.includes(each.item);
      each.element.classList.toggle("missing", lacks);
      if (lacks) each.element.setAttribute("aria-invalid", "true");
      else each.element.removeAttribute("aria-invalid");
    }
  }

  /** Set the questions closer where they do not fit the window otherwise. */
  private fit(): void {
    const { items } = this.parts;
    items.classList.remove("compact");
    items.classList.toggle("compact", items.scrollHeight > items.clientHeight);
  }

  // -- marks on the film -------------------------------------------------------------------------

  /** Let the viewer take marks for an item, or end that; the marks set so far stay in sight. */
  private mark(item: Item | null): void {
    const before = this.data.items.find((each) => each.id === this.marking) ?? null;
    const about = item ?? before;
    this.marking = item?.id ?? null;
    showMarking(this.controls, this.marking);
    if (about !== null) this.tellViewer(about, item !== null);
    if (item !== null && this.active !== item.id) this.activate(item.id);
  }

  private tellViewer(item: Item, taking: boolean): void {
    const detail = {
      view: this.data.id,
      item: item.id,
      kind: taking ? item.kind : null,
      max: item.maxMarks,
      marks: this.answers[item.id] ?? [],
      label: item.question,
    };
    window.dispatchEvent(new CustomEvent("counterlight:mark", { detail }));
  }

  private marked(event: Event): void {
    const { view, item: id, marks } = ((event as CustomEvent<unknown>).detail ?? {}) as {
      view?: unknown;
      item?: unknown;
      marks?: unknown;
    };
    const item = this.data.items.find((each) => each.id === id);
    if (view !== this.data.id || item === undefined) return;
    const valid = marksOf(item, marks);
    if (valid === null || JSON.stringify(valid) === JSON.stringify(this.answers[item.id])) return;
    this.answered(item, valid, true);
  }

  // -- submission --------------------------------------------------------------------------------

  private async submit(): Promise<void> {
    if (!this.idle || this.data.mode === "review") return;
    const lacking = this.lacking();
    if (lacking.length > 0) {
      this.markMissing(lacking);
      this.activate(lacking[0]?.id ?? null);
      this.say(`Still to answer: ${namesOf(lacking)}`);
      return;
    }
    const reason = this.parts.reason?.value.trim() ?? "";
    if (this.data.mode === "revise" && reason === "") {
      this.say("Say in a few words why the answer is changed.");
      this.parts.reason?.focus();
      return;
    }
    if (this.data.mode === "revise") {
      const { supersedes } = this.data;
      const answers = counting(this.data.items, this.answers);
      await this.send("revise", { answers, supersedes, reason });
    } else {
      const answers = counting(this.data.items, this.answers);
      await this.send("submit", { answers, client: this.timing.sent() });
    }
  }

  /** Send until the server has answered; the answers are fixed while its word is outstanding. */
  private async send(action: string, body: unknown): Promise<void> {
    this.freeze(true);
    this.saver.stop();
    let outcome = await this.post(action, body);
    for (let failures = 0; outcome.kind === "lost" && !this.aborter.signal.aborted; failures += 1) {
      this.say("The connection is lost. Your answers are kept and sent as soon as it is back.");
      await this.pauseFor(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 1000);
      outcome = await this.post(action, body);
    }
    this.settle(outcome);
  }

  private pauseFor(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delay);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private settle(outcome: Outcome): void {
    if (outcome.kind === "saved") {
      this.say("");
      this.showSaved(outcome.savedAt);
      this.finish();
      return;
    }
    if (outcome.kind === "moved") {
      this.leaveFor(outcome.problem);
      return;
    }
    this.freeze(false);
    this.saver.resume();
    this.say(said(outcome), outcome.kind === "signedOut");
    const item = outcome.kind === "refused" ? outcome.item : null;
    const named = this.data.items.filter((each) => each.id === item);
    this.markMissing(named);
    if (named[0]) this.activate(named[0].id);
  }

  private freeze(on: boolean): void {
    this.sending = on;
    this.parts.items.disabled = on;
    if (this.parts.submit) this.parts.submit.disabled = on;
    if (this.parts.skip) this.parts.skip.disabled = on;
    this.parts.root.setAttribute("aria-busy", String(on));
  }

  /** The reading is over or not its turn: what is not saved is offered to the server once more. */
  private leaveFor(note: string): void {
    if (this.done) return;
    this.say(note);
    this.shelf.leaveNote(note);
    this.saveBeforeLeaving();
    this.revivable = true;
    this.goOn();
  }

  /** The server has this reading, and no copy is needed any longer. */
  private finish(): void {
    this.shelf.drop();
    this.others.tellDone();
    this.goOn();
  }

  private endedElsewhere(): void {
    if (this.done || this.sending) return; // the answer that is awaited says how it ended
    this.say(MOVED_NOTE);
    this.shelf.leaveNote(MOVED_NOTE);
    this.shelf.drop();
    this.goOn();
  }

  /** Ask for what comes next until it is there. */
  private goOn(): void {
    this.done = true;
    this.freeze(true);
    this.saver.stop();
    this.trigger(this.data.id);
    const again = (): void => {
      this.say("Saved. Waiting for the server.", false, true);
      this.trigger(this.data.id);
      this.waiting = setTimeout(again, AGAIN_MS);
    };
    this.waiting = setTimeout(again, AGAIN_MS);
  }

  private async skip(): Promise<void> {
    if (!this.idle) return;
    const outcome = await askSkip(this.parts.root, (reason, comment) =>
      this.post("skip", { reason, comment }),
    );
    if (outcome !== null) this.settle(outcome);
  }

  private async reportProblem(): Promise<void> {
    if (this.paused) return;
    const outcome = await askProblem(this.parts.root, (text) => this.post("problem", { text }));
    if (outcome?.kind === "saved") this.say(`Problem reported ${timeOfDay(outcome.savedAt)}`);
  }

  // -- what is said ------------------------------------------------------------------------------

  private showState(state: SaveState): void {
    if (this.done) return;
    const { status } = this.parts;
    status.classList.toggle("trouble", state.kind !== "saved" && state.kind !== "unsaved");
    if (state.kind === "saved") {
      this.showSaved(state.at);
      if (this.parts.message.dataset.from === "saver") this.say("");
    } else if (state.kind === "unsaved") {
      if (!status.classList.contains("trouble")) status.textContent = "Saving…";
    } else if (state.kind === "moved") {
      this.leaveFor(state.problem);
    } else if (state.kind === "lost") {
      status.textContent = "Connection lost; answers kept here, trying again";
    } else {
      status.textContent = "Not saved";
      this.say(said(state), state.kind === "signedOut");
      this.parts.message.dataset.from = "saver";
    }
  }

  private showSaved(iso: string): void {
    const time = iso ? timeOfDay(iso) : "";
    this.parts.status.textContent = time ? `Saved ${time}` : "Nothing to save yet";
    this.parts.status.classList.remove("trouble");
  }

  private say(sentence: string, signIn = false, reload = false): void {
    const { message } = this.parts;
    delete message.dataset.from;
    message.replaceChildren(sentence);
    message.title = sentence;
    if (signIn) message.append(" ", make("a", { href: "/sign-in" }, "Sign in"));
    if (reload) message.append(" ", make("a", { href: "/reading" }, "Reload"));
  }

  // -- events of the page ------------------------------------------------------------------------

  private listen(): void {
    const { signal } = this.aborter;
    const keys = new FormKeys(this.parts.root, {
      digit: (digit) => this.digit(digit),
      submit: () => void this.submit(),
      nextText: () => this.nextText(),
      isPaused: () => this.paused,
    });
    const on = (target: EventTarget, name: string, act: (event: Event) => void): void =>
      target.addEventListener(name, act, { signal });
    window.addEventListener("keydown", (event) => keys.press(event), { signal, capture: true });
    for (const name of ["keydown", "pointerdown", "wheel"]) {
      const options = { signal, capture: true, passive: true };
      window.addEventListener(name, () => this.timing.interacted(), options);
    }
    on(window, "counterlight:marks", (event) => this.marked(event));
    on(window, "counterlight:painted", (event) => {
      const { view, atMs } = (event as CustomEvent<{ view?: unknown; atMs?: unknown }>).detail ?? {};
      this.painted(view, atMs);
    });
    on(window, "counterlight:paused", (event) => {
      this.paused = (event as CustomEvent<{ paused?: boolean }>).detail?.paused === true;
    });
    on(window, "online", () => {
      this.saver.hurry();
      this.wake?.();
    });
    on(window, "resize", () => this.fit());
    on(window, "pagehide", () => this.saveBeforeLeaving());
    on(document, "visibilitychange", () => {
      this.timing.visibility(document.visibilityState === "hidden");
      if (document.visibilityState === "hidden") this.saveBeforeLeaving();
    });
    on(document, "click", (event) => this.clicked(event));
    on(this.parts.items, "focusin", (event) => this.focused(event));
    on(this.parts.items, "focusout", (event) => this.left(event));
  }

  /** The viewer has drawn a reading completely; only this one counts. */
  painted(view: unknown, atMs: unknown): void {
    if (view !== this.data.id) return;
    this.timing.painted(typeof atMs === "number" ? atMs : performance.now());
    for (const item of this.data.items) {
      if (isPlaced(item) && isGiven(this.answers[item.id])) this.tellViewer(item, item.id === this.marking);
    }
  }

  private saveBeforeLeaving(): void {
    if (this.done || !this.autosaves) return;
    this.shelf.keep({
      answers: this.answers,
      number: this.saver.number,
      spent: this.timing.carried(),
    });
    if (!this.sending) this.saver.leave();
  }

  private clicked(event: Event): void {
    const target = event.target instanceof Element ? event.target.closest("[data-do]") : null;
    const wanted = target?.getAttribute("data-do");
    if (wanted !== "problem" && wanted !== "help") return;
    event.preventDefault();
    if (wanted === "problem") void this.reportProblem();
    else document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }));
  }

  private focused(event: Event): void {
    const inside = (event.target as Element).closest("[data-item]");
    const id = inside?.getAttribute("data-item") ?? null;
    if (id !== null && id !== this.active) this.activate(id);
  }

  /** A text that was left to nowhere: the digits answer what is still open. */
  private left(event: Event): void {
    const nowhere = (event as FocusEvent).relatedTarget === null;
    const active = this.data.items.find((each) => each.id === this.active);
    if (nowhere && active?.kind === "text") this.activate(this.nextOpen() ?? active.id);
  }

  private nextText(): boolean {
    const texts = this.controls.filter(
      (each) => each.item.kind === "text" && isAsked(each.item, this.answers),
    );
    const at = texts.findIndex((each) => each.item.id === this.active);
    const next = texts[(at + 1) % Math.max(1, texts.length)];
    next?.focus();
    return next !== undefined;
  }
}
