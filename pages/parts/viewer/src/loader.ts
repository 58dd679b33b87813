// Fetches the pictures of one view, tries again while the connection is lost, and says so once.

import { Refused, type PictureCache } from "./cache";
import { addresses, givenSize, type ViewerData } from "./data";
import { isRaw, shaped, sizeOf, UnreadablePicture, type Picture } from "./picture";

export const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
export const LOST = "The connection is lost. Your answers are kept; trying again…";
export const SIGNED_OUT = "You are signed out. Reload the page to sign in again.";
const BUSY = "The server is not answering properly; trying again…";
const MISSING = "A picture of this case is missing. Please report a problem.";
const DAMAGED = "A picture of this case is damaged. Please report a problem.";

export interface LoaderHandlers {
  arrived: () => void;
  say: (text: string) => void;
  fail: (text: string) => void;
}

export class Loader {
  readonly pictures = new Map<string, Picture>();
  pending = 0;
  private readonly aborter = new AbortController();

  constructor(
    private readonly data: ViewerData,
    private readonly cache: PictureCache,
    private readonly on: LoaderHandlers,
  ) {}

  /** Take what is there at once, fetch the rest, then what comes next. */
  start(mode: number, before: ReadonlyMap<string, Picture> = new Map()): void {
    const urls = addresses(this.data, mode);
    this.cache.keepOnly([...urls, ...(this.data.prefetch ?? [])]);
    const missing: string[] = [];
    try {
      for (const url of urls) {
        const here = before.get(url) ?? this.cache.picture(url);
        if (here) this.take(url, here);
        else missing.push(url);
      }
    } catch (error) {
      return this.failed(error, urls[0], 0);
    }
    this.pending = missing.length;
    for (const url of missing) void this.fetch(url, 0);
    if (missing.length === 0) this.on.arrived();
    this.ahead();
  }

  /** Fetch the next reading's pictures, once this one's are all there. */
  ahead(): void {
    if (this.pending === 0 && !this.aborter.signal.aborted) this.cache.ahead(this.data.prefetch ?? []);
  }

  /** The next reading has changed, or is known only now. */
  setPrefetch(urls: readonly string[]): void {
    this.data.prefetch = [...urls];
    this.cache.keepOnly([...addresses(this.data, 0), ...urls]);
    this.ahead();
  }

  stop(): void {
    this.aborter.abort();
  }

  private take(url: string, picture: Picture): void {
    const size = () => givenSize(this.data.panels, url) ?? sizeOf(picture.samples.length, this.data.aspect);
    this.pictures.set(url, isRaw(url) ? shaped(picture, size()) : picture);
  }

  private async fetch(url: string, attempt: number): Promise<void> {
    const { signal } = this.aborter;
    try {
      this.take(url, await this.cache.load(url, signal));
    } catch (error) {
      if (!signal.aborted) this.failed(error, url, attempt);
      return;
    }
    if (signal.aborted) return;
    this.pending -= 1;
    this.on.arrived();
    this.ahead();
  }

  private failed(error: unknown, url: string, attempt: number): void {
    if (error instanceof UnreadablePicture) return this.give(DAMAGED);
    if (error instanceof Refused) {
      if (error.status === 401 || error.status === 403) return this.give(SIGNED_OUT);
      if (error.status === 404) return this.give(MISSING);
    }
    this.on.say(error instanceof Refused ? BUSY : LOST);
    const wait = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
    const timer = setTimeout(() => void this.fetch(url, attempt + 1), wait);
    this.aborter.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  private give(text: string): void {
    this.aborter.abort();
    this.on.fail(text);
  }
}
