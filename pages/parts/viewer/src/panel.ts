// One panel: canvas, caption, legend, scale bar, sides.

import type { PanelData } from "./data";
import { element, setText } from "./dom";
import { fitted, scaleBar, type Room } from "./geometry";
import { gradient } from "./lut";

const MOST_OF_WIDTH = 0.25;

export class Panel {
  readonly box = element("figure", "panel");
  readonly canvas = element("canvas");
  readonly waiting = element("div", "waiting", "loading");
  private readonly caption = element("figcaption", "caption");
  private readonly foot = element("div", "foot");
  private readonly bar = element("div", "scale");
  private readonly barText = element("span");
  private readonly legend = element("div", "legend");
  private readonly colours = element("i");
  drawn = "";

  constructor(readonly data: PanelData, readonly number: number, sides: boolean, probability: string) {
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", data.title || "empty panel");
    this.caption.textContent = data.title;
    this.caption.hidden = data.title === "";
    this.bar.append(this.barText);
    this.bar.hidden = true;
    const above = element("div", "above");
    above.append(this.bar);
    this.foot.append(above, this.caption);
    this.box.append(this.canvas, this.foot, this.waiting);
    if (sides) this.box.append(element("span", "side right-of-patient", "R"), element("span", "side left-of-patient", "L"));
    if (probability) this.box.append(element("span", "probability", probability));
    if (data.kind === "map") this.buildLegend(data.legend ?? []);
  }

  private buildLegend(words: readonly string[]): void {
    const [low, high] = [words[0] ?? "", words.at(-1) ?? ""];
    this.legend.setAttribute("role", "img");
    this.legend.setAttribute("aria-label", `colours from ${low} to ${high}`);
    this.legend.append(element("span", "", low), this.colours, element("span", "", high));
    this.foot.append(this.legend);
  }

  setColours(table: Uint32Array | undefined, visible: boolean): void {
    this.legend.hidden = !visible || !table;
    if (table) this.colours.style.background = `${gradient(table, Boolean(this.data.signed))}, #3a3f46`;
  }

  say(text: string): void {
    setText(this.caption, text || this.data.title);
  }

  get room(): Room {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  /** Match the canvas to the screen's own pixels. */
  fit(ratio: number): void {
    const rect = this.box.getBoundingClientRect();
    const [width, height] = [Math.round(rect.width * ratio), Math.round(rect.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.drawn = "";
    }
  }

  /** Scale bar for a film so many millimetres wide; hidden where that is not known. */
  scale(filmMm: number | null, aspect: number, zoom: number): void {
    const fit = fitted(this.room, aspect).width;
    const bar = filmMm ? scaleBar(filmMm, fit * zoom, fit * MOST_OF_WIDTH) : null;
    this.bar.hidden = bar === null;
    if (!bar) return;
    this.bar.style.width = `${bar.px.toFixed(2)}px`;
    this.bar.dataset.mm = String(bar.mm);
    setText(this.barText, bar.text);
  }
}
