// Linked canvas viewer: films, maps over films and moving films, one window, one zoom.
//
// Pictures are fetched once by address and kept as stored samples; scrubbing, windowing and zooming
// then cause no traffic at all. An instance belongs to one reading (`data.id`): a new id builds a new
// instance, so neither slider position nor window can leak into the next case.

import { fromAddress } from "./address";
import { Adjust } from "./adjust";
import { pageCache } from "./cache";
import { Controls } from "./controls";
import { frameCount, type ViewerData } from "./data";
import { element, setText } from "./dom";
import { Frames } from "./frames";
import { Help } from "./help";
import { Keyboard } from "./keyboard";
import type { Action } from "./keys";
import { Loader, LOST } from "./loader";
import { EventLog, POST_EVERY_MS, poster, type Kind, type Value } from "./log";
import { Looks } from "./looks";
import { Marking } from "./marking";
import type { MarkItem } from "./marks";
import { offers } from "./offers";
import { bindPointer } from "./pointer";
import { Screen, type Now } from "./screen";
import { signs } from "./switches";

export class Viewer {
  private readonly now: Now;
  private readonly aborter = new AbortController();
  private readonly loader: Loader;
  private readonly screen: Screen;
  private readonly adjust: Adjust;
  private readonly frames: Frames;
  private readonly controls: Controls;
  private readonly log: EventLog | null;
  private readonly marking: Marking;
  private readonly help: Help;
  private readonly keyboard: Keyboard;
  private readonly message = element("div", "message");
  private readonly live = element("div", "live");
  private readonly resizer: ResizeObserver;
  private posting: ReturnType<typeof setInterval> | undefined;
  private scheduled = 0;
  private painted = false;
  private stopped = false;

  constructor(
    private readonly host: HTMLElement,
    readonly data: ViewerData,
    before: Viewer | null = null,
  ) {
    this.now = this.begin(before);
    this.log = data.logUrl
      ? new EventLog(poster(data.logUrl, () => data.csrf ?? ""), undefined, (lost) => this.lost(lost))
      : null;
    this.loader = new Loader(data, pageCache(), {
      arrived: () => this.arrived(),
      say: (text) => this.say(text),
      fail: (text) => this.fail(text),
    });
    const on = {
      note: (kind: Kind, value: Value = null) => this.log?.note(kind, value),
      announce: (text: string) => this.announce(text),
      redraw: () => this.redraw(),
    };
    this.marking = new Marking({ ...on, changed: (item) => this.marked(item) });
    this.screen = new Screen(data, this.loader.pictures, this.marking);
    this.adjust = new Adjust(data, this.now, this.screen, on);
    this.frames = new Frames(data, this.now, this.screen, on);
    this.controls = new Controls(data, this.frames.n, this.controlHandlers(), this.now);
    this.help = new Help(host, (open) => this.helped(open));
    this.keyboard = new Keyboard(this.help, this.marking, {
      has: (action) => this.has(action),
      run: (action) => this.run(action),
      escape: () => this.leaveAlone(),
    });
    this.build();
    this.listen(this.aborter.signal);
    this.resizer = new ResizeObserver(() => this.layout());
    this.resizer.observe(this.screen.grid);
    this.layout();
    this.loader.start(this.now.mode, before?.loader.pictures);
    if (this.log) this.posting = setInterval(() => void this.log?.flush(), POST_EVERY_MS);
  }

  // ------------------------------------------------------------------ beginning

  private begin(before: Viewer | null): Now {
    const tables = { unsigned: this.firstTable(false), signed: this.firstTable(true) };
    const start = fromAddress(this.data, before ? "" : window.location.search);
    const now: Now = {
      ...start,
      looks: new Looks(this.data.panels.length, before?.now.looks),
      overlays: true,
      opacity: this.data.opacity,
      tables,
      original: false,
      flickering: false,
      magnified: null,
      alone: null,
    };
    if (before) this.carryOn(now, before);
    now.index = Math.min(Math.max(now.index, 0), frameCount(this.data.panels) - 1);
    return now;
  }

  // Only the explorer asks for this: same film, other pictures.
  private carryOn(now: Now, before: Viewer): void {
    const old = before.now;
    // A view that had no map of a kind had no colours for it either.
    const tables = { unsigned: old.tables.unsigned || now.tables.unsigned, signed: old.tables.signed || now.tables.signed };
    Object.assign(now, { mode: old.mode, overlays: old.overlays, opacity: old.opacity, tables });
    // The same number of frames means the same positions.
    const nBefore = frameCount(before.data.panels);
    if (nBefore === frameCount(this.data.panels)) now.index = old.index;
    else if (nBefore === 1) Object.assign(now, fromAddress(this.data, window.location.search));
    if (old.alone !== null && old.alone < this.data.panels.length) now.alone = old.alone;
    // A wish for a frame is granted once.
    const { goTo } = this.data;
    if (goTo && String(goTo) !== String(before.data.goTo)) now.index = goTo[0];
  }

  private firstTable(signed: boolean): string {
    return this.data.tables.find((each) => each.signed === signed)?.name ?? "";
  }

  private build(): void {
    const { host, data } = this;
    host.style.setProperty("--reserved", `${data.reserved}px`);
    this.message.setAttribute("role", "status");
    this.live.setAttribute("role", "status");
    const { sliderRow, readings, tools } = this.controls;
    host.replaceChildren(this.screen.grid, sliderRow, ...readings, tools, this.message, this.live, this.help.box);
    host.dataset.state = "loading";
    this.help.fill((action) => this.has(action), Boolean(this.log));
    this.refresh();
  }

  /** What may change while the same reading is shown. */
  update(prefetch: readonly string[], csrf: string | undefined): void {
    this.data.csrf = csrf;
    if (String(prefetch) !== String(this.data.prefetch ?? [])) this.loader.setPrefetch(prefetch);
  }

  // ------------------------------------------------------------------ loading

  private arrived(): void {
    this.screen.showWaiting(this.now);
    if (this.loader.pending > 0) return this.redraw();
    this.say("");
    this.host.dataset.state = "ready";
    this.drawNow();
    if (this.painted) return;
    this.painted = true;
    // Behind the frame that shows the pictures.
    requestAnimationFrame(() => setTimeout(() => this.tellPainted(), 0));
    if (this.data.autoplay) this.frames.play();
  }

  private tellPainted(): void {
    if (this.stopped) return;
    const atMs = performance.now();
    this.log?.painted(atMs);
    window.dispatchEvent(new CustomEvent("counterlight:painted", { detail: { view: this.data.id, atMs } }));
  }

  private say(text: string): void {
    setText(this.message, text);
  }

  private fail(text: string): void {
    this.host.dataset.state = "error";
    for (const panel of this.screen.panels) panel.waiting.textContent = "";
    this.say(text);
  }

  private lost(isLost: boolean): void {
    if (isLost) this.say(LOST);
    else if (this.message.textContent === LOST && this.loader.pending === 0) this.say("");
  }

  private announce(text: string): void {
    setText(this.live, text);
  }

  // ------------------------------------------------------------------ maps

  private toggleOverlays(): void {
    this.now.overlays = !this.now.overlays;
    this.log?.note("overlay", this.now.overlays ? 1 : 0);
    this.announce(this.now.overlays ? "Maps shown" : "Maps hidden");
    this.redraw();
  }

  private setOpacity(value: number): void {
    this.now.opacity = value;
    this.log?.note("opacity", value);
    this.redraw();
  }

  private setTable(name: string, signed: boolean): void {
    this.now.tables[signed ? "signed" : "unsigned"] = name;
    this.log?.note("colormap", name);
    this.redraw();
  }

  // ------------------------------------------------------------------ marks

  private marked(item: MarkItem): void {
    this.log?.note("mark", `${item.item.slice(0, 60)}:${item.marks.length}`);
    const detail = { view: this.data.id, item: item.item, marks: item.marks.map((mark) => [...mark]) };
    window.dispatchEvent(new CustomEvent("counterlight:marks", { detail }));
  }

  // ------------------------------------------------------------------ what is handed to the parts

  private pointerHandlers(): Parameters<typeof bindPointer>[1] {
    const { adjust, marking } = this;
    return {
      active: (panel) => adjust.activate(panel.number),
      over: (panel, at) => adjust.over(panel, at),
      window: (panel, dx, dy) => adjust.drag(panel, dx, dy),
      pan: (panel, dx, dy) => adjust.pan(panel, dx, dy),
      zoom: (panel, at, factor) => adjust.zoomAt(panel, at, factor),
      frames: (by) => this.frames.step(by),
      scrollsFrames: (panel) => panel.data.kind === "frames" && this.has("forward"),
      alone: (panel) => this.toggleAlone(panel.number),
      marks: {
        on: () => marking.isOn,
        down: (panel, at) => marking.down(adjust.filmPoint(panel, at), adjust.filmSize(panel)),
        move: (panel, at) => marking.move(adjust.filmPoint(panel, at)),
        up: () => marking.up(),
        cancel: () => marking.cancel(),
      },
    };
  }

  private controlHandlers(): ConstructorParameters<typeof Controls>[2] {
    return {
      run: (action) => this.run(action),
      frame: (index) => this.frames.goTo(index),
      toggle: (factor, state) => this.frames.setSwitch(factor, state),
      speed: (speed) => this.frames.setSpeed(speed),
      mode: (mode) => this.frames.setMode(mode),
      preset: (number) => this.adjust.usePreset(number),
      opacity: (value) => this.setOpacity(value),
      table: (name, signed) => this.setTable(name, signed),
    };
  }

  private toggleAlone(number: number): void {
    this.now.alone = this.now.alone === null && this.data.panels.length > 1 ? number : null;
    this.layout();
  }

  private leaveAlone(): boolean {
    if (this.now.alone === null) return false;
    this.toggleAlone(0);
    return true;
  }

  private listen(signal: AbortSignal): void {
    for (const panel of this.screen.panels) bindPointer(panel, this.pointerHandlers(), signal);
    this.keyboard.listen(signal);
    this.controls.sliderRow.addEventListener("wheel", (event) => this.wheelOnSlider(event), { passive: false, signal });
    window.addEventListener("offline", () => this.say(LOST), { signal });
    window.addEventListener("online", () => this.backOnline(), { signal });
    window.addEventListener("pagehide", () => void this.log?.flush(true), { signal });
    window.addEventListener("resize", () => this.layout(), { signal }); // also another pixel ratio
    document.addEventListener("visibilitychange", () => this.visibility(), { signal });
    const on = (name: string, act: (detail: Record<string, unknown>) => void) =>
      window.addEventListener(`counterlight:${name}`, (event) => act(((event as CustomEvent).detail ?? {}) as Record<string, unknown>), { signal });
    on("mark", (detail) => this.askMarks(detail));
    on("paused", (detail) => (this.keyboard.paused = Boolean(detail.paused) && !this.help.open));
  }

  private backOnline(): void {
    this.lost(false);
    void this.log?.flush();
  }

  private visibility(): void {
    this.log?.note(document.hidden ? "hidden" : "shown");
    if (document.hidden) void this.log?.flush(true);
  }

  private askMarks(detail: Record<string, unknown>): void {
    if (detail.view !== this.data.id) return;
    this.marking.ask(detail);
    this.host.dataset.marking = String(this.marking.isOn);
    if (this.marking.isOn) this.announce(`Marking: ${this.marking.label}. Arrow keys move the cross-hair, Space sets a mark.`);
  }

  private wheelOnSlider(event: WheelEvent): void {
    if (!this.has("forward")) return;
    event.preventDefault();
    this.frames.step(event.deltaY > 0 ? 1 : -1);
  }

  // The form's keys rest as well while the help is open.
  private helped(open: boolean): void {
    this.frames.pause();
    window.dispatchEvent(new CustomEvent("counterlight:paused", { detail: { paused: open } }));
    this.keyboard.paused = false;
  }

  private has(action: Action): boolean {
    return offers(this.data, this.frames.n, action);
  }

  private run(action: Action): void {
    const { frames, adjust } = this;
    const acts: Record<Action, () => void> = {
      back: () => frames.step(-1),
      forward: () => frames.step(1),
      first: () => frames.goTo(0),
      last: () => frames.goTo(frames.n - 1),
      origin: () => frames.goTo(this.data.origin),
      play: () => frames.toggle(),
      slower: () => frames.changeSpeed(-1),
      faster: () => frames.changeSpeed(1),
      round: () => frames.toggleRound(),
      flicker: () => frames.toggleFlicker(),
      mode: () => frames.otherMode(),
      overlays: () => this.toggleOverlays(),
      invert: () => adjust.invert(),
      magnifier: () => adjust.toggleMagnifier(),
      reset: () => adjust.reset(),
      actual: () => adjust.actual(),
      fit: () => adjust.fit(),
      zoomIn: () => adjust.zoomStep(1),
      zoomOut: () => adjust.zoomStep(-1),
      left: () => adjust.panStep(1, 0),
      right: () => adjust.panStep(-1, 0),
      up: () => adjust.panStep(0, 1),
      down: () => adjust.panStep(0, -1),
      brighter: () => adjust.nudge(0, 1),
      darker: () => adjust.nudge(0, -1),
      harder: () => adjust.nudge(1, 0),
      softer: () => adjust.nudge(-1, 0),
      preset: () => adjust.nextPreset(),
      unlink: () => adjust.toggleLink(),
      alone: () => this.toggleAlone(adjust.panel.number),
      help: () => this.help.toggle(),
      raise1: () => frames.stepSwitch(0, 1),
      raise2: () => frames.stepSwitch(1, 1),
      raise3: () => frames.stepSwitch(2, 1),
      raise4: () => frames.stepSwitch(3, 1),
      lower1: () => frames.stepSwitch(0, -1),
      lower2: () => frames.stepSwitch(1, -1),
      lower3: () => frames.stepSwitch(2, -1),
      lower4: () => frames.stepSwitch(3, -1),
      unswitch: () => frames.unswitch(),
    };
    acts[action]();
  }

  // ------------------------------------------------------------------ drawing

  private layout(): void {
    if (this.stopped) return;
    this.screen.layout(this.now.alone);
    this.drawNow();
  }

  private redraw(): void {
    if (this.stopped) return;
    this.refresh();
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = 0;
      this.drawNow();
    });
  }

  private drawNow(): void {
    this.screen.draw(this.now);
    const filmMm = this.data.spacingMm ? this.data.spacingMm * this.screen.filmColumns() : null;
    for (const panel of this.screen.panels) {
      if (panel.box.hidden) continue;
      panel.scale(this.loader.pending === 0 ? filmMm : null, this.data.aspect, this.now.looks.view(panel.number).zoom);
      panel.setColours(this.screen.tableOf(this.screen.table(panel, this.now)), this.now.overlays && this.now.opacity > 0);
    }
    this.refresh();
  }

  /** Controls and data attributes say what is shown. */
  private refresh(): void {
    const { looks, index, mode, overlays, flickering } = this.now;
    const { number } = this.adjust.panel;
    const grey = looks.grey(number);
    const { zoom } = looks.view(number);
    const inverted = grey.invert ? "  inverted" : "";
    const numbers = `W ${Math.round(grey.window)}  L ${Math.round(grey.level)}  ${zoom.toFixed(1)}×${inverted}`;
    const { playing, speed, pingPong } = this.frames.cine;
    const state = { index, mode, playing, speed, pingPong, flickering, invert: grey.invert, magnifier: this.adjust.magnifying };
    this.controls.update({ ...state, linked: looks.linked, overlays, numbers, preset: this.adjust.preset });
    Object.assign(this.host.dataset, {
      frame: String(index),
      ...(this.data.toggles && !this.data.toggles.note ? { switches: signs(index, this.data.toggles.titles.length) } : {}),
      playing: String(playing),
      flickering: String(flickering),
      overlays: String(overlays),
      linked: String(looks.linked),
      window: `${Math.round(grey.window)}/${Math.round(grey.level)}`,
      zoom: zoom.toFixed(3),
      ...(this.data.modes ? { mode: this.data.modes[mode] } : {}),
    });
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    void this.log?.flush(true);
    clearInterval(this.posting);
    cancelAnimationFrame(this.scheduled);
    if (this.help.open) this.helped(false);
    this.frames.stop();
    this.loader.stop();
    this.aborter.abort();
    this.resizer.disconnect();
  }
}
