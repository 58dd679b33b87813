import { describe, expect, it } from "vitest";
import { bestGrid, filmPoint, fitted, home, LARGEST_ZOOM, oneToOne, panelPoint, panned, scaleBar, shown, stackedSizes, zoomedAt } from "./geometry";

const ROOM = { width: 400, height: 300 };

describe("zoom", () => {
  it("keeps the point under the cursor where it is", () => {
    const place = { x: 250, y: 90 };
    let view = zoomedAt(ROOM, 0.8, home(), { x: 200, y: 150 }, 2, 1);
    const before = filmPoint(ROOM, 0.8, view, place);
    view = zoomedAt(ROOM, 0.8, view, place, 3.7, 1);
    const after = filmPoint(ROOM, 0.8, view, place);
    expect(after.x).toBeCloseTo(before.x, 10);
    expect(after.y).toBeCloseTo(before.y, 10);
  });

  it("has ends, and a film that fits is centred", () => {
    expect(zoomedAt(ROOM, 1, home(), { x: 0, y: 0 }, 99, 1).zoom).toBe(LARGEST_ZOOM);
    const small = zoomedAt(ROOM, 1, { zoom: 3, x: 0.2, y: 0.9 }, { x: 9, y: 9 }, 0.1, 0.5);
    expect(small).toEqual({ zoom: 0.5, x: 0.5, y: 0.5 });
  });

  it("1:1 shows one column on one pixel of the screen", () => {
    const zoom = oneToOne(ROOM, 1, 1024, 2);
    expect(shown(ROOM, 1, { zoom, x: 0.5, y: 0.5 }).width * 2).toBeCloseTo(1024, 9);
  });
});

it("panel and film points are each other's inverse", () => {
  const view = { zoom: 2.3, x: 0.4, y: 0.7 };
  const back = filmPoint(ROOM, 1.2, view, panelPoint(ROOM, 1.2, view, { x: 0.31, y: 0.62 }));
  expect(back.x).toBeCloseTo(0.31, 10);
  expect(back.y).toBeCloseTo(0.62, 10);
});

it("moving by the film's width moves by one, and not off the film", () => {
  const view = { zoom: 2, x: 0.9, y: 0.5 };
  expect(panned(ROOM, 1, view, shown(ROOM, 1, view).width / 2, 0).x).toBeCloseTo(0.4, 10);
  expect(panned(ROOM, 1, view, -9999, 0).x).toBe(1);
});

describe("the scale bar", () => {
  it("is as long as it says at every zoom", () => {
    for (const zoom of [0.3, 1, 1.7, 4, 16]) {
      const width = fitted(ROOM, 1).width * zoom;
      const bar = scaleBar(350, width, 75);
      expect(bar).not.toBeNull();
      expect(bar!.px / width).toBeCloseTo(bar!.mm / 350, 10);
      expect(bar!.px).toBeLessThanOrEqual(75);
      expect(bar!.px).toBeGreaterThan(75 / 2.6);
      expect([1, 2, 5]).toContain(Number(bar!.mm.toExponential()[0]));
    }
  });

  it("is written in cm from 1 cm on, and left out where it cannot be known", () => {
    expect(scaleBar(400, 400, 60)?.text).toBe("5 cm");
    expect(scaleBar(400, 4000, 60)?.text).toBe("5 mm");
    expect(scaleBar(0, 100, 20)).toBeNull();
    expect(scaleBar(NaN, 100, 20)).toBeNull();
  });
});

it("panels are laid out so that films are largest", () => {
  expect(bestGrid(2, { width: 1000, height: 500 }, 1).columns).toBe(2);
  expect(bestGrid(2, { width: 500, height: 1000 }, 1).columns).toBe(1);
  expect(bestGrid(4, { width: 1000, height: 900 }, 1).columns).toBe(2);
  expect(bestGrid(6, { width: 1000, height: 700 }, 1).columns).toBe(3);
  expect(bestGrid(4, { width: 1000, height: 900 }, 1, 4).columns).toBe(4);
});

it("a column of films and the moving one beside it fit into any room", () => {
  for (const room of [{ width: 1040, height: 600 }, { width: 500, height: 900 }]) {
    const { small, large } = stackedSizes(3, room, 0.9);
    expect(large).toBeCloseTo(3 * small + 12, 9);
    expect(large).toBeLessThanOrEqual(room.height + 1e-9);
    expect((small + large) * 0.9 + 6).toBeLessThanOrEqual(room.width + 1e-9);
  }
});
