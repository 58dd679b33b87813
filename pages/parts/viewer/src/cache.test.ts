import { describe, expect, it } from "vitest";
import { PictureCache, Refused } from "./cache";
import { Loader } from "./loader";
import type { ViewerData } from "./data";

async function rawFile(n: number): Promise<Uint8Array> {
  const stream = new Blob([new Uint8Array(2 * n) as BlobPart]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function shelf(n = 4) {
  const file = await rawFile(n);
  const asked: string[] = [];
  const get = async (url: string) => {
    asked.push(url);
    return url.includes("gone") ? new Response("", { status: 404 }) : new Response(file as BodyInit);
  };
  return { asked, get };
}

const signal = new AbortController().signal;
const settled = () => new Promise((done) => setTimeout(done, 30));

describe("the cache", () => {
  it("has what was fetched ahead, without asking again", async () => {
    const { asked, get } = await shelf();
    const cache = new PictureCache(get);
    cache.ahead(["/1.raw", "/2.raw", "/3.raw"]);
    await cache.load("/3.raw", signal); // on its way or still in the queue
    await settled();
    await cache.load("/1.raw", signal);
    expect(asked.sort()).toEqual(["/1.raw", "/2.raw", "/3.raw"]);
  });

  it("keeps only the current and the next reading", async () => {
    const cache = new PictureCache((await shelf()).get);
    for (const url of ["/a.raw", "/b.raw", "/c.raw"]) await cache.load(url, signal);
    cache.keepOnly(["/b.raw"]);
    expect(cache.size).toBe(1);
    expect(cache.picture("/b.raw")).toBeDefined();
  });

  it("does not keep what was on its way for a reading that is gone", async () => {
    const cache = new PictureCache((await shelf()).get);
    cache.ahead(["/1.raw", "/2.raw", "/3.raw"]);
    cache.keepOnly([]);
    await settled();
    expect(cache.size).toBe(0);
  });

  it("is bounded in pictures and in bytes", async () => {
    const { get } = await shelf(50);
    const few = new PictureCache(get, 1e9, 2);
    few.ahead(["/1.raw", "/2.raw", "/3.raw", "/4.raw"]);
    await settled();
    expect(few.size).toBe(2);
    const small = new PictureCache(get, 250, 99);
    for (const url of ["/1.raw", "/2.raw", "/3.raw"]) await small.load(url, signal);
    expect(small.size).toBe(2);
  });

  it("leaves a failure ahead to the moment when the picture is needed", async () => {
    const cache = new PictureCache((await shelf()).get);
    cache.ahead(["/gone.raw"]);
    await settled();
    await expect(cache.load("/gone.raw", signal)).rejects.toBeInstanceOf(Refused);
  });
});

function view(urls: string[], more: Partial<ViewerData> = {}): ViewerData {
  const panels = urls.map((url) => ({ title: "Film", kind: "film" as const, urls: [url], under: null, width: 2, height: 2 }));
  return { id: "a", panels, origin: 0, ...more } as ViewerData;
}

function loading(data: ViewerData, cache: PictureCache) {
  const heard: string[] = [];
  const loader = new Loader(data, cache, {
    arrived: () => heard.push("arrived"),
    say: (text) => heard.push(text),
    fail: (text) => heard.push(text),
  });
  return { loader, heard };
}

describe("the loader", () => {
  it("is there at once with what was fetched ahead, and then fetches what comes next", async () => {
    const { get, asked } = await shelf();
    const cache = new PictureCache(get);
    cache.ahead(["/1.raw"]);
    await settled();
    const { loader, heard } = loading(view(["/1.raw"], { prefetch: ["/2.raw"] }), cache);
    loader.start(0);
    expect(heard).toEqual(["arrived"]);
    expect(loader.pictures.get("/1.raw")).toMatchObject({ width: 2, height: 2 });
    await settled();
    expect(asked).toEqual(["/1.raw", "/2.raw"]);
    loader.setPrefetch(["/3.raw"]);
    await settled();
    expect(cache.picture("/2.raw")).toBeUndefined();
    expect(cache.picture("/3.raw")).toBeDefined();
  });

  it("says what is wrong, and tries again only where that can help", async () => {
    const { get } = await shelf(5);
    const missing = loading(view(["/gone.raw"]), new PictureCache(get));
    missing.loader.start(0);
    const damaged = loading(view(["/1.raw"]), new PictureCache(get));
    damaged.loader.start(0);
    let calls = 0;
    const cut = loading(view(["/1.raw"]), new PictureCache(async () => ((calls += 1), Promise.reject(new TypeError("network")))));
    cut.loader.start(0);
    await settled();
    expect(missing.heard[0]).toContain("missing");
    expect(damaged.heard[0]).toContain("damaged");
    expect(cut.heard[0]).toContain("connection is lost");
    await new Promise((done) => setTimeout(done, 1100));
    expect(calls).toBe(2);
    cut.loader.stop();
  });
});
