// Mouse, pen and finger on a panel.

import type { Panel } from "./panel";
import type { Point } from "./geometry";

export interface PointerHandlers {
  active: (panel: Panel) => void;
  over: (panel: Panel, at: Point | null) => void;
  window: (panel: Panel, dx: number, dy: number) => void;
  pan: (panel: Panel, dx: number, dy: number) => void;
  zoom: (panel: Panel, at: Point, factor: number) => void;
  frames: (by: 1 | -1) => void;
  scrollsFrames: (panel: Panel) => boolean;
  alone: (panel: Panel) => void;
  marks: { on: () => boolean; down: (panel: Panel, at: Point) => void; move: (panel: Panel, at: Point) => void; up: () => void; cancel: () => void };
}

type Doing = "window" | "pan" | "zoom" | "mark";
const WHEEL_STEP = 60;

export function bindPointer(panel: Panel, on: PointerHandlers, signal: AbortSignal): void {
  const { canvas } = panel;
  let from: (Point & { doing: Doing; start: Point }) | null = null;
  let wheeled = 0;
  const place = (event: MouseEvent): Point => {
    const rect = canvas.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  const listen = <K extends keyof HTMLElementEventMap>(name: K, act: (event: HTMLElementEventMap[K]) => void, passive = true) =>
    canvas.addEventListener(name, act, { signal, passive });

  listen("focus", () => on.active(panel));
  listen("contextmenu", (event) => event.preventDefault(), false);
  listen("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    on.active(panel);
    if (event.button === 1) event.preventDefault(); // no autoscroll
    const doing = doingOf(event, on.marks.on());
    from = { ...place(event), doing, start: place(event) };
    if (doing === "mark") on.marks.down(panel, from);
  }, false);
  listen("pointermove", (event) => {
    const at = place(event);
    on.over(panel, at);
    if (!from) return;
    const [dx, dy] = [at.x - from.x, at.y - from.y];
    if (from.doing === "window") on.window(panel, dx, dy);
    else if (from.doing === "pan") on.pan(panel, dx, dy);
    else if (from.doing === "zoom") on.zoom(panel, from.start, Math.exp(-dy / 150));
    else on.marks.move(panel, at);
    Object.assign(from, at);
  });
  listen("pointerup", () => {
    if (from?.doing === "mark") on.marks.up();
    from = null;
  });
  listen("pointercancel", () => {
    if (from?.doing === "mark") on.marks.cancel();
    from = null;
  });
  listen("pointerleave", () => on.over(panel, null));
  listen("dblclick", () => !on.marks.on() && on.alone(panel));
  listen("wheel", (event) => {
    event.preventDefault();
    on.active(panel);
    if (event.ctrlKey || !on.scrollsFrames(panel)) return on.zoom(panel, place(event), Math.exp(-event.deltaY / 500));
    wheeled += event.deltaY;
    if (Math.abs(wheeled) < WHEEL_STEP && event.deltaMode === 0) return;
    on.frames(wheeled > 0 ? 1 : -1);
    wheeled = 0;
  }, false);
}

function doingOf(event: PointerEvent, marking: boolean): Doing {
  if (event.button === 1 || event.shiftKey) return "pan";
  if (event.button === 2) return "zoom";
  return marking ? "mark" : "window";
}
