// Which actions a view offers: a protocol decides which controls a condition has.

import type { ViewerData } from "./data";
import type { Action } from "./keys";
import { stepOf } from "./switches";

const NEEDS_SLIDER: readonly Action[] = ["back", "forward", "first", "last"];
const NEEDS_PLAY: readonly Action[] = ["play", "slower", "faster", "round"];
const NEEDS_SWITCHES: readonly Action[] = ["flicker", "unswitch"];
const NEEDS_EITHER: readonly Action[] = ["flicker", "origin"];

/** Whether a view of n frames offers an action. */
export function offers(data: ViewerData, n: number, action: Action): boolean {
  const { slider, play } = data.controls;
  const nSwitches = data.toggles && !data.toggles.note ? data.toggles.titles.length : 0;
  const step = stepOf(action);
  if (step) return step.factor < nSwitches;
  if (nSwitches > 0 && NEEDS_SWITCHES.includes(action)) return true;
  if (action === "unswitch") return false;
  if (NEEDS_SLIDER.includes(action)) return n > 1 && slider;
  if (NEEDS_PLAY.includes(action)) return n > 1 && play;
  if (NEEDS_EITHER.includes(action)) return n > 1 && (slider || play);
  if (action === "mode") return Boolean(data.modes);
  if (action === "overlays") return data.panels.some((panel) => panel.kind === "map");
  if (action === "preset") return data.presets.length > 0;
  if (action === "unlink" || action === "alone") return data.panels.length > 1;
  return true;
}
