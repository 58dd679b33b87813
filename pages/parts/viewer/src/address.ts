// Frame and mode in the page's address, so that a link shows the same; nothing is sent to the server.

import type { ViewerData } from "./data";

export interface Shown {
  index: number;
  mode: number;
}

export function fromAddress(data: ViewerData, search: string): Shown {
  const given = new URLSearchParams(search);
  const shown = { index: data.origin, mode: 0 };
  const frame = data.frameParameter ? (given.get(data.frameParameter) ?? "") : "";
  if (/^\d{1,4}$/.test(frame)) shown.index = Number(frame);
  if (data.modeParameter && data.modes) shown.mode = Math.max(0, data.modes.indexOf(given.get(data.modeParameter) ?? ""));
  return shown;
}

/** The address with frame and mode in it; what is as at first is left out. */
export function withShown(data: ViewerData, href: string, shown: Shown, nFrames: number): string {
  const address = new URL(href);
  const put = (name: string, value: string | null) =>
    value === null ? address.searchParams.delete(name) : address.searchParams.set(name, value);
  if (data.frameParameter && nFrames > 1) put(data.frameParameter, shown.index === data.origin ? null : String(shown.index));
  if (data.modeParameter && data.modes) put(data.modeParameter, shown.mode === 0 ? null : data.modes[shown.mode]);
  return address.href;
}
