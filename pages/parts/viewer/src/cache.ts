// Pictures of the current and the next reading, unpacked, on globalThis: a new reading is a new
// component instance, and what was fetched ahead for it has to survive the change.

import { readPicture, type Picture } from "./picture";

export const MOST_BYTES = 768 * 1024 * 1024;
export const MOST_PICTURES = 600;
const NAME = "counterlightPictures";
const AHEAD_AT_ONCE = 2;

/** An answer of the server that is not a picture. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super(`The server answered ${status}.`);
  }
}

export type Get = (url: string, options: RequestInit) => Promise<Response>;

export async function fetchPicture(get: Get, url: string, signal: AbortSignal, priority: "high" | "low"): Promise<Picture> {
  const answer = await get(url, { credentials: "same-origin", signal, priority });
  if (!answer.ok) throw new Refused(answer.status);
  return readPicture(url, new Uint8Array(await answer.arrayBuffer()));
}

export class PictureCache {
  private readonly pictures = new Map<string, Picture>();
  private readonly coming = new Map<string, { picture: Promise<Picture>; stop: AbortController }>();
  private queue: string[] = [];
  private bytes = 0;

  constructor(
    private readonly get: Get = (url, options) => fetch(url, options),
    private readonly mostBytes = MOST_BYTES,
    private readonly mostPictures = MOST_PICTURES,
  ) {}

  get size(): number {
    return this.pictures.size;
  }

  picture(url: string): Picture | undefined {
    return this.pictures.get(url);
  }

  put(url: string, picture: Picture): boolean {
    if (this.pictures.has(url)) return true;
    if (this.full(picture.samples.byteLength)) return false;
    this.pictures.set(url, picture);
    this.bytes += picture.samples.byteLength;
    return true;
  }

  /** Forget everything else, and stop what is on its way for it. */
  keepOnly(urls: Iterable<string>): void {
    const kept = new Set(urls);
    for (const [url, picture] of this.pictures)
      if (!kept.has(url)) {
        this.pictures.delete(url);
        this.bytes -= picture.samples.byteLength;
      }
    for (const [url, { stop }] of this.coming) if (!kept.has(url)) stop.abort();
    this.queue = this.queue.filter((url) => kept.has(url));
  }

  /** The picture, from here, from what is on its way, or from the server. */
  async load(url: string, signal: AbortSignal): Promise<Picture> {
    const here = this.pictures.get(url);
    if (here) return here;
    this.queue = this.queue.filter((each) => each !== url);
    try {
      const ahead = await this.coming.get(url)?.picture;
      if (ahead) return ahead;
    } catch {
      // What went wrong while fetching ahead shows again below, where it is dealt with.
    }
    const picture = await fetchPicture(this.get, url, signal, "high");
    this.put(url, picture);
    return picture;
  }

  /** Fetch pictures of the next reading, few at once; a failure is left to `load`. */
  ahead(urls: readonly string[]): void {
    this.queue = urls.filter((url) => !this.pictures.has(url) && !this.coming.has(url));
    this.pump();
  }

  private pump(): void {
    while (this.coming.size < AHEAD_AT_ONCE && this.queue.length > 0 && !this.full(0)) {
      const url = this.queue.shift() as string;
      const stop = new AbortController();
      const picture = fetchPicture(this.get, url, stop.signal, "low");
      this.coming.set(url, { picture, stop });
      picture
        .then(
          (made) => stop.signal.aborted || this.put(url, made),
          () => undefined,
        )
        .finally(() => {
          this.coming.delete(url);
          this.pump();
        });
    }
  }

  private full(more: number): boolean {
    return this.pictures.size >= this.mostPictures || this.bytes + more > this.mostBytes;
  }
}

/** The one cache of this page. */
export function pageCache(): PictureCache {
  const scope = globalThis as unknown as Record<string, PictureCache | undefined>;
  return (scope[NAME] ??= new PictureCache());
}
