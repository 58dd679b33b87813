// The panels on the screen: their grid, and drawing those that have changed.

import { framesOf, type ViewerData } from "./data";
import { element } from "./dom";
import { bestGrid, stackedSizes, type Point, type Room } from "./geometry";
import { colourTable, type Grey } from "./lut";
import type { Looks } from "./looks";
import type { Marking } from "./marking";
import { Painter, type Scene } from "./paint";
import { Panel } from "./panel";
import type { Picture } from "./picture";

const MAGNIFIED = 2.5;
const MAGNIFIER_SHARE = 0.2;

/** What is to be seen at this moment. */
export interface Now {
  index: number;
  mode: number;
  looks: Looks;
  overlays: boolean;
  opacity: number;
  tables: Record<"signed" | "unsigned", string>;
  original: boolean;
  flickering: boolean;
  /** Film point below the magnifier. */
  magnified: Point | null;
  alone: number | null;
}

export class Screen {
  readonly grid = element("div", "panels");
  readonly panels: Panel[];
  private readonly painter: Painter;
  private readonly tables = new Map<string, Uint32Array>();

  constructor(
    private readonly data: ViewerData,
    private readonly pictures: ReadonlyMap<string, Picture>,
    private readonly marking: Marking,
  ) {
    this.panels = data.panels.map((panel, number) => new Panel(panel, number, Boolean(data.sideLabels), number === 0 ? (data.probability ?? "") : ""));
    this.painter = new Painter(2 * data.panels.length + 6);
    this.grid.append(...this.panels.map((panel) => panel.box));
    for (const { name, rgba } of data.tables) this.tables.set(name, colourTable(rgba));
  }

  layout(alone: number | null): void {
    const room = this.grid.getBoundingClientRect();
    const { aspect } = this.data;
    const shown = this.panels.filter((panel) => alone === null || panel.number === alone);
    for (const panel of this.panels) panel.box.style.gridArea = "";
    if (this.data.stacked && alone === null) return this.stack(room);
    const { columns } = bestGrid(shown.length, room, aspect, alone === null ? (this.data.columns ?? 0) : 0);
    // A film has the same size in every condition, whatever is shown beside it.
    const cells = Math.max(this.data.cells, this.panels.length);
    const { height } = bestGrid(cells, room, aspect, this.data.columns ?? 0);
    const width = Math.floor(height * aspect);
    this.grid.style.gridTemplateColumns = alone === null ? `repeat(${columns}, ${width}px)` : "1fr";
    this.grid.style.gridAutoRows = alone === null ? `${Math.floor(height)}px` : "1fr";
    for (const panel of this.panels) panel.box.hidden = !shown.includes(panel);
    for (const panel of shown) panel.fit(window.devicePixelRatio || 1);
  }

  /** Films in a column, the moving film beside them as high as all of them together. */
  private stack(room: Room): void {
    const n = Math.max(1, this.panels.filter((panel) => panel.data.kind !== "frames").length);
    const { small, large } = stackedSizes(n, room, this.data.aspect);
    this.grid.style.gridTemplateColumns = `${Math.floor(small * this.data.aspect)}px ${Math.floor(large * this.data.aspect)}px`;
    this.grid.style.gridAutoRows = `${Math.floor(small)}px`;
    let row = 0;
    for (const panel of this.panels) {
      panel.box.hidden = false;
      panel.box.style.gridArea = panel.data.kind === "frames" ? `1 / 2 / span ${n} / 3` : `${(row += 1)} / 1`;
    }
    for (const panel of this.panels) panel.fit(window.devicePixelRatio || 1);
  }

  /** Whether everything shown at this moment has arrived. */
  complete(now: Now): boolean {
    return this.panels.every((panel) => this.needed(panel, now).every((url) => this.pictures.has(url)));
  }

  private needed(panel: Panel, now: Now): string[] {
    const frames = framesOf(panel.data, now.mode);
    const shown = frames[panel.data.kind === "frames" ? Math.min(now.index, frames.length - 1) : 0];
    return panel.data.under ? [shown, panel.data.under] : [shown];
  }

  showWaiting(now: Now): void {
    for (const panel of this.panels)
      panel.waiting.hidden = this.needed(panel, now).every((url) => this.pictures.has(url));
  }

  /** Address of the original film: a film panel, the film below a map, or the frame at the origin. */
  private originalUrl(panel: Panel): string {
    const film = this.panels.find((each) => each.data.kind === "film" && each.data.title !== "");
    if (film) return film.data.urls[0];
    const map = this.panels.find((each) => each.data.under);
    return map?.data.under ?? panel.data.urls[Math.min(this.data.origin, panel.data.urls.length - 1)];
  }

  /** What a frame flickers against: where changes are laid on the film, the film of the same size. */
  private restUrl(panel: Panel): string {
    return this.data.toggles?.laid || this.data.stacked ? panel.data.urls[Math.min(this.data.origin, panel.data.urls.length - 1)] : this.originalUrl(panel);
  }

  /** Columns of the original film, which 1:1 and the scale bar refer to. */
  filmColumns(): number {
    const panel = this.panels.find((each) => each.data.kind === "film" && each.data.title !== "") ?? this.panels[0];
    const url = panel.data.kind === "film" ? panel.data.urls[0] : this.originalUrl(panel);
    return this.pictures.get(url)?.width ?? (panel.data.width || 512);
  }

  private filmUrl(panel: Panel, now: Now): string {
    if (panel.data.kind === "map") return panel.data.under ?? "";
    const frames = framesOf(panel.data, now.mode);
    if (panel.data.kind !== "frames") return frames[0];
    if (now.flickering && now.original) return this.restUrl(panel);
    return frames[Math.min(now.index, frames.length - 1)];
  }

  table(panel: Panel, now: Now): string {
    return now.tables[panel.data.signed ? "signed" : "unsigned"];
  }

  tableOf(name: string): Uint32Array | undefined {
    return this.tables.get(name);
  }

  private scene(panel: Panel, now: Now): Scene {
    const scene: Scene = {
      film: this.pictures.get(this.filmUrl(panel, now)),
      grey: now.looks.grey(panel.number),
      view: now.looks.view(panel.number),
      aspect: this.data.aspect,
    };
    if (panel.data.kind !== "map" || !now.overlays) return scene;
    const picture = this.pictures.get(panel.data.urls[0]);
    const name = this.table(panel, now);
    const table = this.tables.get(name);
    if (picture && table) scene.map = { picture, table, name, opacity: now.opacity };
    return scene;
  }

  /** Draw the panels that show something else than before. */
  draw(now: Now): number {
    let drawn = 0;
    for (const panel of this.panels) {
      if (panel.box.hidden) continue;
      const scene = this.scene(panel, now);
      const extras = now.magnified !== null || this.marking.hasAny;
      const key = extras ? "" : this.key(panel, now, scene);
      if (key !== "" && key === panel.drawn) continue;
      panel.drawn = key;
      drawn += 1;
      this.painter.paint(panel.canvas, scene);
      if (extras) this.extras(panel, now, scene);
    }
    return drawn;
  }

  private key(panel: Panel, now: Now, { grey, view, film, map }: Scene): string {
    const { width, height } = panel.canvas;
    const shownMap = map ? `${map.name}/${map.opacity}` : "";
    return [film ? this.filmUrl(panel, now) : "", greyKey(grey), view.zoom, view.x, view.y, shownMap, width, height].join("|");
  }

  private extras(panel: Panel, now: Now, scene: Scene): void {
    const { canvas } = panel;
    const unit = canvas.width / (canvas.clientWidth || canvas.width);
    const room = { width: canvas.width, height: canvas.height };
    if (now.magnified) {
      const { zoom, x, y } = scene.view;
      const height = Math.min(room.width / scene.aspect, room.height) * zoom;
      const at = {
        x: room.width / 2 + (now.magnified.x - x) * height * scene.aspect,
        y: room.height / 2 + (now.magnified.y - y) * height,
      };
      const radius = Math.min(room.width, room.height) * MAGNIFIER_SHARE;
      this.painter.magnify(canvas, scene, at, radius, MAGNIFIED);
    }
    const context = canvas.getContext("2d");
    if (context) this.marking.draw(context, room, scene.aspect, scene.view, unit);
  }
}

function greyKey({ window, level, invert }: Grey): string {
  return `${window}/${level}/${invert}`;
}
