// Window, zoom and position of the panels: one for all, or each its own.

import { home, type View } from "./geometry";
import { fullGrey, type Grey } from "./lut";

export class Looks {
  linked = true;
  private views: View[];
  private greys: Grey[];

  constructor(n: number, before?: Looks) {
    this.views = Array.from({ length: n }, (_, i) => before?.views[Math.min(i, before.views.length - 1)] ?? home());
    this.greys = Array.from({ length: n }, (_, i) => before?.greys[Math.min(i, before.greys.length - 1)] ?? fullGrey());
    if (before && !before.linked && before.views.length === n) this.linked = false;
    else this.link(0);
  }

  view(panel: number): View {
    return this.views[panel];
  }

  grey(panel: number): Grey {
    return this.greys[panel];
  }

  setView(panel: number, view: View): void {
    for (const each of this.targets(panel)) this.views[each] = view;
  }

  setGrey(panel: number, grey: Grey): void {
    for (const each of this.targets(panel)) this.greys[each] = grey;
  }

  unlink(): void {
    this.linked = false;
  }

  /** All panels take over what this one shows. */
  link(panel: number): void {
    this.linked = true;
    this.setView(panel, this.views[panel]);
    this.setGrey(panel, this.greys[panel]);
  }

  reset(): void {
    this.linked = true;
    this.setView(0, home());
    this.setGrey(0, fullGrey());
  }

  private targets(panel: number): number[] {
    return this.linked ? this.views.map((_, i) => i) : [panel];
  }
}
