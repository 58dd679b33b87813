// Keys of the viewer: one table for what they do and for what the help says.

export interface Key {
  /** `KeyboardEvent.key`, lower case for letters; "shift+" in front where it matters. */
  keys: string[];
  action: Action;
  shown: string;
  help: string;
}

export type Action =
  | "back" | "forward" | "first" | "last" | "play" | "slower" | "faster" | "round" | "flicker" | "origin" | "mode"
  | "overlays" | "invert" | "magnifier" | "reset" | "actual" | "fit" | "zoomIn" | "zoomOut" | "left" | "right" | "up" | "down"
  | "brighter" | "darker" | "harder" | "softer" | "preset" | "unlink" | "alone" | "help"
  | "raise1" | "raise2" | "raise3" | "raise4" | "lower1" | "lower2" | "lower3" | "lower4" | "unswitch";

export const KEYS: readonly Key[] = [
  { keys: ["ArrowLeft"], action: "back", shown: "←", help: "previous frame" },
  { keys: ["ArrowRight"], action: "forward", shown: "→", help: "next frame" },
  { keys: ["Home"], action: "first", shown: "Home", help: "first frame" },
  { keys: ["End"], action: "last", shown: "End", help: "last frame" },
  { keys: ["o"], action: "origin", shown: "O", help: "back to the original film" },
  { keys: [" "], action: "play", shown: "Space", help: "play or pause" },
  { keys: ["["], action: "slower", shown: "[", help: "play slower" },
  { keys: ["]"], action: "faster", shown: "]", help: "play faster" },
  { keys: ["p"], action: "round", shown: "P", help: "play back and forth, or round" },
  { keys: ["f"], action: "flicker", shown: "F", help: "flicker between the original and this picture" },
  { keys: ["s"], action: "raise1", shown: "S", help: "first factor a step up: from − to 0 to +" },
  { keys: ["shift+s"], action: "lower1", shown: "Shift S", help: "first factor a step down" },
  { keys: ["g"], action: "raise2", shown: "G", help: "second factor up" },
  { keys: ["shift+g"], action: "lower2", shown: "Shift G", help: "second factor down" },
  { keys: ["j"], action: "raise3", shown: "J", help: "third factor up" },
  { keys: ["shift+j"], action: "lower3", shown: "Shift J", help: "third factor down" },
  { keys: ["k"], action: "raise4", shown: "K", help: "fourth factor up" },
  { keys: ["shift+k"], action: "lower4", shown: "Shift K", help: "fourth factor down" },
  { keys: ["x"], action: "unswitch", shown: "X", help: "all factors back to 0" },
  { keys: ["d"], action: "mode", shown: "D", help: "other kind of frames" },
  { keys: ["h"], action: "overlays", shown: "H", help: "hide or show all maps" },
  { keys: ["i"], action: "invert", shown: "I", help: "invert greys" },
  { keys: ["w"], action: "preset", shown: "W", help: "next named window" },
  { keys: ["b"], action: "brighter", shown: "B", help: "brighter" },
  { keys: ["shift+b"], action: "darker", shown: "Shift B", help: "darker" },
  { keys: ["t"], action: "harder", shown: "T", help: "more contrast" },
  { keys: ["shift+t"], action: "softer", shown: "Shift T", help: "less contrast" },
  { keys: ["+", "shift++", "PageUp"], action: "zoomIn", shown: "+", help: "zoom in" },
  { keys: ["_", "shift+_", "PageDown"], action: "zoomOut", shown: "_", help: "zoom out (also Page Down)" },
  { keys: ["-"], action: "fit", shown: "−", help: "fit the film into its panel" },
  { keys: ["=", "shift+="], action: "actual", shown: "=", help: "1:1, one pixel of the film on one of the screen" },
  { keys: ["shift+ArrowLeft"], action: "left", shown: "Shift ←", help: "move the view left" },
  { keys: ["shift+ArrowRight"], action: "right", shown: "Shift →", help: "move the view right" },
  { keys: ["shift+ArrowUp"], action: "up", shown: "Shift ↑", help: "move the view up" },
  { keys: ["shift+ArrowDown"], action: "down", shown: "Shift ↓", help: "move the view down" },
  { keys: ["m"], action: "magnifier", shown: "M", help: "magnifier" },
  { keys: ["a"], action: "alone", shown: "A", help: "this panel alone, or all" },
  { keys: ["l"], action: "unlink", shown: "L", help: "unlink or link the panels" },
  { keys: ["0"], action: "reset", shown: "0", help: "reset window, zoom and position" },
  { keys: ["?", "shift+?"], action: "help", shown: "?", help: "these keys" },
];

export const POINTER: readonly [string, string][] = [
  ["drag", "window: across for width, up and down for level"],
  ["Shift-drag, middle button", "move"],
  ["right button drag", "zoom"],
  ["wheel", "zoom at the pointer; over the moving film: frames"],
  ["Ctrl-wheel", "zoom at the pointer, everywhere"],
  ["double-click", "this panel alone, or all"],
];

// Keys of the form beside the viewer.
export const ANSWERING: readonly [string, string][] = [
  ["1 … 9", "answer the marked question; begin a number on a scale"],
  ["Tab", "next control; with Shift the one before"],
  ["N", "next text field; Esc leaves it"],
  ["Enter", "next case, when all is answered"],
  ["Ctrl Enter", "next case, from a text field"],
];

export const MARKING: readonly [string, string][] = [
  ["click or drag", "set a point or draw a box; drag it to move it"],
  ["arrow keys", "move the cross-hair, with Shift in small steps"],
  ["Space", "set the mark, or the two corners of a box; on a mark: pick it up"],
  ["Delete", "remove the mark that is picked or was set last"],
  ["Esc", "give up the box that is being drawn"],
];

const BY_KEY = new Map(KEYS.flatMap((each) => each.keys.map((key) => [key, each.action] as const)));

interface Pressed {
  key: string;
  shiftKey: boolean;
}

export function actionOf(event: Pressed): Action | undefined {
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return BY_KEY.get(event.shiftKey ? `shift+${name}` : name) ?? (event.shiftKey && name.length === 1 ? loose(name) : undefined);
}

// Caps lock and keyboards on which a sign needs Shift; letters with a meaning of their own do not come here.
function loose(name: string): Action | undefined {
  return BY_KEY.get(name);
}

interface Target {
  tagName?: string;
  type?: string;
  isContentEditable?: boolean;
  getAttribute?: (name: string) => string | null;
}

const NOT_TEXT = ["range", "radio", "checkbox", "button", "submit"];

export function isTyping(target: Target | undefined): boolean {
  if (!target?.tagName) return false;
  const text = target.tagName === "INPUT" && !NOT_TEXT.includes(target.type ?? "text");
  return text || target.tagName === "TEXTAREA" || target.tagName === "SELECT" || Boolean(target.isContentEditable);
}

/** Whether the element itself uses Space. */
export function isControl(target: Target | undefined): boolean {
  const role = target?.getAttribute?.("role") ?? "";
  return ["BUTTON", "A", "INPUT", "SUMMARY"].includes(target?.tagName ?? "") || ["button", "radio", "checkbox", "link"].includes(role);
}

/** Whether the element itself uses the arrow keys. */
export function usesArrows(target: Target | undefined): boolean {
  const role = target?.getAttribute?.("role") ?? "";
  const input = target?.tagName === "INPUT" && ["range", "radio"].includes(target.type ?? "");
  return input || ["radio", "slider", "tab", "option", "menuitem", "listbox", "combobox"].includes(role);
}

/** Streamlit reruns on R and clears its cache on C, wherever the focus is. */
export function isReserved(event: { key: string; ctrlKey: boolean; metaKey: boolean; altKey: boolean }): boolean {
  return !event.ctrlKey && !event.metaKey && !event.altKey && ["r", "c"].includes(event.key.toLowerCase());
}
