// Window, zoom, position and magnifier: what the reader changes about how pictures are seen.

import type { ViewerData } from "./data";
import { filmPoint, home, oneToOne, panned, shown, zoomedAt, type Point, type Room, type View } from "./geometry";
import type { Note } from "./log";
import { limited } from "./lut";
import type { Panel } from "./panel";
import type { Now, Screen } from "./screen";

const ZOOM_STEP = 1.25;
const PAN_PX = 60;
const LEVEL_STEP = 8;
const WINDOW_STEP = 1.15;

export interface AdjustHandlers {
  note: Note;
  announce: (text: string) => void;
  redraw: () => void;
}

export class Adjust {
  magnifying = false;
  private active = 0;

  constructor(
    private readonly data: ViewerData,
    private readonly now: Now,
    private readonly screen: Screen,
    private readonly on: AdjustHandlers,
  ) {}

  /** The panel that keys are about: the one last touched. */
  get panel(): Panel {
    return this.screen.panels[this.now.alone ?? Math.min(this.active, this.screen.panels.length - 1)];
  }

  activate(number: number): void {
    this.active = number;
  }

  filmPoint(panel: Panel, at: Point): Point {
    return filmPoint(panel.room, this.data.aspect, this.now.looks.view(panel.number), at);
  }

  filmSize(panel: Panel): Room {
    return shown(panel.room, this.data.aspect, this.now.looks.view(panel.number));
  }

  // ------------------------------------------------------------------ zoom and position

  private changeView(panel: Panel, change: (view: View) => View, kind: "zoom" | "pan"): void {
    const view = change(this.now.looks.view(panel.number));
    this.now.looks.setView(panel.number, view);
    if (kind === "zoom") this.on.note("zoom", Number(view.zoom.toFixed(3)));
    else this.on.note("pan", `${view.x.toFixed(3)},${view.y.toFixed(3)}`);
    this.on.redraw();
  }

  zoomAt(panel: Panel, at: Point, factor: number): void {
    const least = Math.min(1, this.actualZoom(panel));
    this.changeView(panel, (view) => zoomedAt(panel.room, this.data.aspect, view, at, view.zoom * factor, least), "zoom");
  }

  private zoomCentre(factor: number): void {
    const { panel } = this;
    this.zoomAt(panel, { x: panel.room.width / 2, y: panel.room.height / 2 }, factor);
  }

  private actualZoom(panel: Panel): number {
    return oneToOne(panel.room, this.data.aspect, this.screen.filmColumns(), window.devicePixelRatio || 1);
  }

  actual(): void {
    this.zoomCentre(this.actualZoom(this.panel) / this.now.looks.view(this.panel.number).zoom);
  }

  fit(): void {
    this.changeView(this.panel, () => home(), "zoom");
  }

  zoomStep(sign: 1 | -1): void {
    this.zoomCentre(ZOOM_STEP ** sign);
  }

  pan(panel: Panel, dx: number, dy: number): void {
    this.changeView(panel, (view) => panned(panel.room, this.data.aspect, view, dx, dy), "pan");
  }

  panStep(across: number, down: number): void {
    this.pan(this.panel, across * PAN_PX, down * PAN_PX);
  }

  // ------------------------------------------------------------------ window

  private setWindow(panel: Panel, window: number, level: number): void {
    const grey = { ...this.now.looks.grey(panel.number), ...limited(window, level) };
    this.now.looks.setGrey(panel.number, grey);
    this.on.note("window", `${grey.window.toFixed(1)}/${grey.level.toFixed(1)}`);
    this.on.redraw();
  }

  drag(panel: Panel, dx: number, dy: number): void {
    const grey = this.now.looks.grey(panel.number);
    this.setWindow(panel, grey.window + dx, grey.level + dy);
  }

  /** By key: a step of contrast (-1 less, 1 more) and of brightness. */
  nudge(contrast: number, brightness: number): void {
    const grey = this.now.looks.grey(this.panel.number);
    this.setWindow(this.panel, grey.window * WINDOW_STEP ** -contrast, grey.level - brightness * LEVEL_STEP);
  }

  /** Which named window is on, -1 for none. */
  get preset(): number {
    const { window, level } = this.now.looks.grey(this.panel.number);
    return this.data.presets.findIndex((each) => each.window === window && each.level === level);
  }

  usePreset(number: number): void {
    const preset = this.data.presets[number];
    if (!preset) return this.on.redraw();
    this.setWindow(this.panel, preset.window, preset.level);
    this.on.announce(`Window ${preset.name}`);
  }

  nextPreset(): void {
    this.usePreset((this.preset + 1) % Math.max(this.data.presets.length, 1));
  }

  invert(): void {
    const { number } = this.panel;
    const grey = this.now.looks.grey(number);
    this.now.looks.setGrey(number, { ...grey, invert: !grey.invert });
    this.on.note("invert", grey.invert ? 0 : 1);
    this.on.announce(grey.invert ? "Greys as they are" : "Greys inverted");
    this.on.redraw();
  }

  // ------------------------------------------------------------------ all of it

  reset(): void {
    this.now.looks.reset();
    this.on.note("reset");
    this.on.announce("Window, zoom and position reset");
    this.on.redraw();
  }

  toggleLink(): void {
    if (this.now.looks.linked) this.now.looks.unlink();
    else this.now.looks.link(this.panel.number);
    this.on.announce(this.now.looks.linked ? "Panels linked" : "Panels unlinked");
    this.on.redraw();
  }

  toggleMagnifier(): void {
    this.magnifying = !this.magnifying;
    const { x, y } = this.now.looks.view(this.panel.number);
    this.now.magnified = this.magnifying ? { x, y } : null;
    this.on.note("magnifier", this.magnifying ? 1 : 0);
    this.on.announce(this.magnifying ? "Magnifier on" : "Magnifier off");
    this.on.redraw();
  }

  over(panel: Panel, at: Point | null): void {
    if (!this.magnifying) return;
    this.now.magnified = at && this.filmPoint(panel, at);
    this.on.redraw();
  }
}
