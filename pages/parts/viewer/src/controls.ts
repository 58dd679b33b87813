// Slider row and tools: elements only, what they do is handed in.

import type { ViewerData } from "./data";
import type { Action } from "./keys";
import { button, element, select, setPressed, setText } from "./dom";
import { SPEEDS, spoken } from "./playback";
import { Switches, type State } from "./switches";

export interface ControlHandlers {
  run: (action: Action) => void;
  frame: (index: number) => void;
  toggle: (factor: number, state: State) => void;
  speed: (speed: number) => void;
  mode: (mode: number) => void;
  preset: (number: number) => void;
  opacity: (value: number) => void;
  table: (name: string, signed: boolean) => void;
}

/** What the controls show. */
export interface ControlState {
  index: number;
  mode: number;
  playing: boolean;
  speed: number;
  pingPong: boolean;
  flickering: boolean;
  invert: boolean;
  magnifier: boolean;
  linked: boolean;
  overlays: boolean;
  numbers: string;
  preset: number;
}

export class Controls {
  readonly sliderRow = element("div", "slider-row");
  readonly tools = element("div", "tools");
  readonly readings: HTMLElement[];
  private slider?: HTMLInputElement;
  private switches?: Switches;
  private playButton?: HTMLButtonElement;
  private speed?: HTMLSelectElement;
  private roundButton?: HTMLButtonElement;
  private flickerButton?: HTMLButtonElement;
  private overlayButton?: HTMLButtonElement;
  private preset?: HTMLSelectElement;
  private modes: HTMLButtonElement[] = [];
  private readonly numbers = element("span", "numbers");
  private readonly invert: HTMLButtonElement;
  private readonly magnifier: HTMLButtonElement;
  private readonly link: HTMLButtonElement;
  private readonly now: { node: HTMLElement; frames: string[] }[] = [];

  constructor(
    private readonly data: ViewerData,
    private readonly n: number,
    private readonly on: ControlHandlers,
    start: { opacity: number; tables: Record<"signed" | "unsigned", string> },
  ) {
    this.buildSliderRow();
    this.readings = (data.readings ?? []).map((each) => this.buildReading(each.label, each.fixed, each.frames));
    this.invert = button("Invert", "Invert greys (I)", () => on.run("invert"), false);
    this.magnifier = button("Magnify", "Magnifier at the pointer (M)", () => on.run("magnifier"), false);
    this.link = button("Unlink", "Move and window each panel by itself (L)", () => on.run("unlink"), false);
    this.buildTools(start);
  }

  private buildSliderRow(): void {
    if (this.data.toggles) return this.buildSwitches(this.data.toggles);
    const { slider, play } = this.data.controls;
    const unused = this.n < 2 || !(slider || play);
    this.sliderRow.hidden = unused && !this.data.controlRow;
    this.sliderRow.classList.toggle("unused", unused);
    if (unused) return;
    if (slider) this.buildSlider();
    if (play) {
      this.playButton = button("▶ Play", "Play or pause (Space)", () => this.on.run("play"));
      this.playButton.classList.add("play");
      this.speed = select("Speed", "Speed ([ slower, ] faster)", SPEEDS.map((each) => `${each}×`), (value) => this.on.speed(parseFloat(value)));
      this.roundButton = button("⇄", "", () => this.on.run("round"), true);
      this.roundButton.classList.add("round");
      this.sliderRow.append(this.playButton, this.speed, this.roundButton);
    }
    const word = this.data.originWord ?? "original";
    this.sliderRow.append(button(this.data.stacked ? "Start" : "Original", `Back to the ${word === "original" ? "original film" : word} (O)`, () => this.on.run("origin")));
    this.sliderRow.append(this.buildFlicker());
  }

  private buildFlicker(): HTMLButtonElement {
    this.flickerButton = button("Flicker", "Flicker between the original film and this picture (F)", () => this.on.run("flicker"), false);
    return this.flickerButton;
  }

  private buildSwitches(toggles: NonNullable<ViewerData["toggles"]>): void {
    this.switches = new Switches(toggles, this.on.toggle);
    this.sliderRow.append(this.switches.row);
    if (toggles.note) return;
    if (this.switches.text) this.sliderRow.append(this.switches.text);
    this.sliderRow.append(button("All 0", "All factors back to 0 (X)", () => this.on.run("unswitch")), this.buildFlicker());
  }

  private buildSlider(): void {
    const track = element("div", "track");
    this.slider = element("input", "slider");
    Object.assign(this.slider, { type: "range", min: "0", max: String(Math.max(this.n - 1, 1)), step: "1" });
    this.slider.setAttribute("aria-label", `${this.data.low} to ${this.data.high}`);
    this.slider.addEventListener("input", () => this.on.frame(Number(this.slider?.value)));
    const mark = element("span", "mark", this.data.originWord ?? "original");
    mark.style.setProperty("--at", String(this.data.origin / Math.max(this.n - 1, 1)));
    track.append(this.slider, mark);
    this.sliderRow.append(element("span", "word", this.data.low), track, element("span", "word", this.data.high));
  }

  private buildReading(label: string, fixed: string, frames: string[]): HTMLElement {
    const row = element("div", "reading");
    const node = element("span", "now");
    row.append(element("span", "who", label), element("span", "", fixed), node);
    this.now.push({ node, frames });
    return row;
  }

  private buildTools(start: { opacity: number; tables: Record<"signed" | "unsigned", string> }): void {
    const { on, data } = this;
    this.tools.setAttribute("role", "group");
    this.tools.setAttribute("aria-label", "Picture");
    if (data.modes) this.tools.append(this.buildModes(data.modes));
    this.tools.append(this.numbers);
    if (data.presets.length > 0) {
      const names = data.presets.map((each) => each.name);
      this.preset = select("Window", "Named windows (W)", ["own window", ...names], () => on.preset((this.preset?.selectedIndex ?? 0) - 1));
      this.tools.append(this.preset);
    }
    this.tools.append(
      this.invert,
      button("Fit", "Fit into the panel (−)", () => on.run("fit")),
      button("1:1", "One pixel of the film on one of the screen (=)", () => on.run("actual")),
      this.magnifier,
    );
    if (data.panels.length > 1) this.tools.append(this.link);
    this.tools.append(button("Reset", "Reset window, zoom and position (0)", () => on.run("reset")));
    if (data.panels.some((panel) => panel.kind === "map")) this.tools.append(...this.buildOverlayTools(start));
    const help = button("?", "Keys and mouse (?)", () => on.run("help"));
    help.classList.add("help-button");
    help.setAttribute("aria-label", "Keys and mouse");
    this.tools.append(help);
  }

  private buildModes(names: string[]): HTMLElement {
    const group = element("span", "modes");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Frames shown");
    this.modes = names.map((name, mode) => button(name, `Show ${name} frames (D)`, () => this.on.mode(mode), false));
    group.append(...this.modes);
    return group;
  }

  private buildOverlayTools(start: { opacity: number; tables: Record<"signed" | "unsigned", string> }): HTMLElement[] {
    this.overlayButton = button("Hide map", "Hide or show all maps (H)", () => this.on.run("overlays"), false);
    const label = element("label", "opacity", "strength");
    const range = element("input");
    Object.assign(range, { type: "range", min: "0", max: "100", value: String(Math.round(100 * start.opacity)) });
    range.setAttribute("aria-label", "Strength of the map");
    range.addEventListener("input", () => this.on.opacity(Number(range.value) / 100));
    range.addEventListener("pointerup", () => range.blur()); // the arrow keys move frames again
    label.append(range);
    const parts: HTMLElement[] = [this.overlayButton, label];
    for (const signed of [false, true]) {
      const names = this.data.tables.filter((each) => each.signed === signed).map((each) => each.name);
      const used = this.data.panels.some((panel) => panel.kind === "map" && Boolean(panel.signed) === signed);
      if (!used || names.length < 2) continue;
      const name = signed ? "Colours of signed maps" : "Colours of maps";
      const choice = select(name, name, names, (value) => this.on.table(value, signed));
      choice.value = start.tables[signed ? "signed" : "unsigned"];
      parts.push(choice);
    }
    return parts;
  }

  update(state: ControlState): void {
    setText(this.numbers, state.numbers);
    setPressed(this.invert, state.invert);
    setPressed(this.magnifier, state.magnifier);
    setPressed(this.link, !state.linked);
    if (this.preset) this.preset.selectedIndex = state.preset + 1;
    if (this.overlayButton) {
      setText(this.overlayButton, state.overlays ? "Hide map" : "Show map");
      setPressed(this.overlayButton, !state.overlays);
    }
    this.switches?.update(state.index);
    this.modes.forEach((each, mode) => setPressed(each, mode === state.mode));
    if (this.slider) {
      this.slider.value = String(state.index);
      const words = { low: this.data.low, high: this.data.high, origin: this.data.originWord ?? "original" };
      this.slider.setAttribute("aria-valuetext", spoken(state.index, this.n, this.data.origin, words));
    }
    for (const { node, frames } of this.now) setText(node, frames[Math.min(state.index, frames.length - 1)] ?? "");
    if (this.playButton) setText(this.playButton, state.playing ? "❚❚ Pause" : "▶ Play");
    if (this.speed) this.speed.value = `${state.speed}×`;
    if (this.roundButton) {
      setText(this.roundButton, state.pingPong ? "⇄" : "↻");
      this.roundButton.title = state.pingPong ? "Back and forth; change to round (P)" : "Round; change to back and forth (P)";
      this.roundButton.setAttribute("aria-label", "Back and forth");
      setPressed(this.roundButton, state.pingPong);
    }
    if (this.flickerButton) setPressed(this.flickerButton, state.flickering);
  }
}
