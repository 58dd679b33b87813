// Entry point of the component: one viewer for one reading.

import type { ViewerData } from "./data";
import { Viewer } from "./viewer";

interface Held {
  signature: string;
  viewer: Viewer;
}

interface Mounted {
  data: ViewerData;
  parentElement: HTMLElement | ShadowRoot;
}

// On the element itself: the module may be loaded anew for the same element.
type Host = HTMLElement & { counterlight?: Held };

/** What may change without anything being drawn anew is left out. */
function signatureOf({ prefetch: _prefetch, csrf: _csrf, ...shown }: ViewerData): string {
  return JSON.stringify(shown);
}

export default function mount({ data, parentElement }: Mounted): () => void {
  const host = parentElement.querySelector<Host>(".viewer");
  if (!host) throw new Error("The viewer's own element is missing.");
  const signature = signatureOf(data);
  const before = host.counterlight;
  if (before?.signature === signature) {
    before.viewer.update(data.prefetch ?? [], data.csrf);
    return () => stop(host);
  }
  before?.viewer.stop();
  const goesOn = before && data.keep && before.viewer.data.keep === data.keep;
  host.counterlight = { signature, viewer: new Viewer(host, structuredClone(data), goesOn ? before.viewer : null) };
  return () => stop(host);
}

function stop(host: Host): void {
  host.counterlight?.viewer.stop();
  host.counterlight = undefined;
}
