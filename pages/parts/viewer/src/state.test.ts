import { describe, expect, it } from "vitest";
import { fromAddress, withShown } from "./address";
import { addresses, frameCount, givenSize, type ViewerData } from "./data";
import { Looks } from "./looks";

describe("panels", () => {
  const zoomed = { zoom: 3, x: 0.2, y: 0.3 };

  it("move together until they are unlinked, and together again after", () => {
    const looks = new Looks(3);
    looks.setView(1, zoomed);
    expect(looks.view(2)).toEqual(zoomed);
    looks.unlink();
    looks.setView(0, { zoom: 1, x: 0.5, y: 0.5 });
    looks.setGrey(2, { window: 80, level: 60, invert: true });
    expect(looks.view(2)).toEqual(zoomed);
    expect(looks.grey(0).window).toBe(255);
    looks.link(2);
    expect(looks.view(0)).toEqual(zoomed);
    expect(looks.grey(0)).toEqual({ window: 80, level: 60, invert: true });
  });

  it("are as at first, and linked, after a reset", () => {
    const looks = new Looks(2);
    looks.unlink();
    looks.setView(1, zoomed);
    looks.reset();
    expect(looks.linked).toBe(true);
    expect(looks.view(1).zoom).toBe(1);
  });

  it("of another number go on where the ones before were", () => {
    const before = new Looks(2);
    before.setView(0, zoomed);
    expect(new Looks(4, before).view(3)).toEqual(zoomed);
  });
});

const data = {
  panels: [
    { title: "Film", kind: "film", urls: ["/f"], under: null, width: 8, height: 4 },
    { title: "", kind: "frames", urls: ["/0", "/1", "/2"], otherUrls: ["/x", "/y", "/z"], under: null },
    { title: "Map", kind: "map", urls: ["/m"], under: "/h", underSize: [6, 5] },
  ],
  origin: 1,
  frameParameter: "frame",
  modeParameter: "shown",
  modes: ["residual", "decoded"],
} as unknown as ViewerData;

describe("what is shown", () => {
  it("is fetched first, each address once", () => {
    const urls = addresses(data, 0);
    expect(urls.slice(0, 4)).toEqual(["/f", "/1", "/h", "/m"]);
    expect([...urls].sort()).toEqual(["/0", "/1", "/2", "/f", "/h", "/m", "/x", "/y", "/z"]);
    expect(addresses(data, 1)[1]).toBe("/y");
    expect(frameCount(data.panels)).toBe(3);
  });

  it("has the size that was given for it", () => {
    expect(givenSize(data.panels, "/f")).toEqual({ width: 8, height: 4 });
    expect(givenSize(data.panels, "/h")).toEqual({ width: 6, height: 5 });
    expect(givenSize(data.panels, "/0")).toBeNull();
  });

  it("stands in the address, and is found there again", () => {
    const href = withShown(data, "http://a/?case=7&frame=0", { index: 2, mode: 1 }, 3);
    expect(href).toBe("http://a/?case=7&frame=2&shown=decoded");
    expect(fromAddress(data, new URL(href).search)).toEqual({ index: 2, mode: 1 });
    expect(withShown(data, href, { index: 1, mode: 0 }, 3)).toBe("http://a/?case=7");
    expect(fromAddress(data, "?frame=-3&shown=other")).toEqual({ index: 1, mode: 0 });
  });
});
