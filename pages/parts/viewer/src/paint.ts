// From samples to the screen: look-up tables into small canvases of the picture's own size, which are
// then drawn at the size wanted. What was looked up last is kept, so that moving only draws.

import { element } from "./dom";
import { panelPoint, shown, type Point, type Room, type View } from "./geometry";
import { applyTable, greyTable, type Grey } from "./lut";
import type { Picture } from "./picture";

export const BACKGROUND = "#0b0d10";

/** What one panel shows. */
export interface Scene {
  film: Picture | undefined;
  grey: Grey;
  map?: { picture: Picture; table: Uint32Array; name: string; opacity: number };
  view: View;
  aspect: number;
}

export class Painter {
  private readonly looked = new Map<string, HTMLCanvasElement>();
  private readonly numbers = new WeakMap<Picture, number>();
  private readonly images = new Map<string, { image: ImageData; words: Uint32Array }>();
  private greys: { key: string; table: Uint32Array }[] = [];
  private count = 0;

  /** `capacity`: how many looked-up pictures are kept. */
  constructor(private readonly capacity: number) {}

  /** Draw a panel onto its canvas. */
  paint(canvas: HTMLCanvasElement, scene: Scene): void {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context || canvas.width === 0) return;
    const room = { width: canvas.width, height: canvas.height };
    context.fillStyle = BACKGROUND;
    context.fillRect(0, 0, room.width, room.height);
    this.layers(context, room, scene);
  }

  /** A round window around `at` (a place of the canvas, device pixels) that shows more closely. */
  magnify(canvas: HTMLCanvasElement, scene: Scene, at: Point, radius: number, factor: number): void {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) return;
    const room = { width: canvas.width, height: canvas.height };
    const size = shown(room, scene.aspect, scene.view);
    const point = { x: scene.view.x + (at.x - room.width / 2) / size.width, y: scene.view.y + (at.y - room.height / 2) / size.height };
    const zoom = scene.view.zoom * factor;
    const after = shown(room, scene.aspect, { zoom, x: 0, y: 0 });
    const view = { zoom, x: point.x - (at.x - room.width / 2) / after.width, y: point.y - (at.y - room.height / 2) / after.height };
    context.save();
    context.beginPath();
    context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
    context.save();
    context.clip();
    context.fillStyle = BACKGROUND;
    context.fillRect(at.x - radius, at.y - radius, 2 * radius, 2 * radius);
    this.layers(context, room, { ...scene, view });
    context.restore();
    context.lineWidth = Math.max(1, radius / 60);
    context.strokeStyle = "#7fb2e0";
    context.stroke();
    context.restore();
  }

  private layers(context: CanvasRenderingContext2D, room: Room, scene: Scene): void {
    const size = shown(room, scene.aspect, scene.view);
    const corner = panelPoint(room, scene.aspect, scene.view, { x: 0, y: 0 });
    if (scene.film) draw(context, this.grey(scene.film, scene.grey), corner, size);
    if (!scene.map || scene.map.opacity <= 0) return;
    context.globalAlpha = scene.map.opacity;
    draw(context, this.coloured(scene.map.picture, scene.map.table, scene.map.name), corner, size);
    context.globalAlpha = 1;
  }

  private grey(picture: Picture, grey: Grey): HTMLCanvasElement {
    const key = `${picture.bits}/${grey.window}/${grey.level}/${grey.invert}`;
    let found = this.greys.find((each) => each.key === key);
    if (!found) {
      found = { key, table: greyTable(grey, picture.bits) };
      this.greys = [found, ...this.greys.slice(0, 11)];
    }
    return this.lookedUp(picture, key, found.table);
  }

  private coloured(picture: Picture, table: Uint32Array, name: string): HTMLCanvasElement {
    return this.lookedUp(picture, name, table);
  }

  private lookedUp(picture: Picture, tableKey: string, table: Uint32Array): HTMLCanvasElement {
    const key = `${this.numberOf(picture)}|${tableKey}`;
    let canvas = this.looked.get(key);
    if (canvas) {
      this.looked.delete(key);
      this.looked.set(key, canvas);
      return canvas;
    }
    canvas = this.spare();
    if (canvas.width !== picture.width || canvas.height !== picture.height)
      Object.assign(canvas, { width: picture.width, height: picture.height });
    const { image, words } = this.imageOf(picture.width, picture.height);
    applyTable(picture.samples, table, words);
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    this.looked.set(key, canvas);
    return canvas;
  }

  private spare(): HTMLCanvasElement {
    if (this.looked.size < this.capacity) return element("canvas");
    const [key, canvas] = this.looked.entries().next().value as [string, HTMLCanvasElement];
    this.looked.delete(key);
    return canvas;
  }

  private imageOf(width: number, height: number): { image: ImageData; words: Uint32Array } {
    const key = `${width}x${height}`;
    let found = this.images.get(key);
    if (!found) {
      const image = new ImageData(width, height);
      found = { image, words: new Uint32Array(image.data.buffer) };
      this.images.set(key, found);
    }
    return found;
  }

  private numberOf(picture: Picture): number {
    let number = this.numbers.get(picture);
    if (number === undefined) this.numbers.set(picture, (number = this.count += 1));
    return number;
  }
}

// Where one sample takes one pixel, nothing is interpolated: samples reach the screen as they are.
function draw(context: CanvasRenderingContext2D, canvas: HTMLCanvasElement, corner: Point, size: Room): void {
  const exact = Math.abs(size.width - canvas.width) < 0.75 && Math.abs(size.height - canvas.height) < 0.75;
  context.imageSmoothingEnabled = !exact;
  context.imageSmoothingQuality = size.width < canvas.width ? "medium" : "high";
  if (exact) context.drawImage(canvas, Math.round(corner.x), Math.round(corner.y));
  else context.drawImage(canvas, corner.x, corner.y, size.width, size.height);
}
