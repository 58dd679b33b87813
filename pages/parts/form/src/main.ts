// Entry point of the component: one form per reading, kept while the script reruns around it.

import { ReadingForm } from "./form";
import type { ReadingData } from "./types";

interface Mounted {
  readonly data: ReadingData;
  readonly parentElement: HTMLElement | ShadowRoot;
  readonly setTriggerValue: (name: "done", value: string) => void;
}

type Host = HTMLElement & { counterlightForm?: ReadingForm };

interface Painted {
  readonly view: unknown;
  readonly atMs: unknown;
}

// The viewer may paint from its cache before the form is there; the last paint is remembered on
// the page, because this module may be loaded anew for every reading.
const page = globalThis as { counterlightPainted?: Painted | null };
if (page.counterlightPainted === undefined) {
  page.counterlightPainted = null;
  window.addEventListener("counterlight:painted", (event) => {
    page.counterlightPainted = (event as CustomEvent<Painted>).detail;
  });
}

export default function ({ data, parentElement, setTriggerValue }: Mounted): () => void {
  const host = parentElement.querySelector<Host>(".form-host");
  if (host === null) return () => undefined;
  const trigger = (id: string): void => setTriggerValue("done", id);
  const before = host.counterlightForm;
  if (before !== undefined && before.id === data.id) {
    before.update(data, trigger);
  } else {
    before?.stop();
    host.counterlightForm = new ReadingForm(host, data, trigger);
    const { counterlightPainted: painted } = page;
    if (painted) host.counterlightForm.painted(painted.view, painted.atMs);
  }
  return () => {
    host.counterlightForm?.stop();
    host.counterlightForm = undefined;
  };
}
