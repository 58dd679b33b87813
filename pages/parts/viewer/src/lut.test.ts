import { describe, expect, it } from "vitest";
import { applyTable, colourTable, fullGrey, gradient, greyTable, limited } from "./lut";

const grey = (word: number) => word & 255;

describe("the table of greys", () => {
  it("shows every stored grey as it is at the full window", () => {
    const table = greyTable(fullGrey(), 8);
    expect([...table].map(grey)).toEqual(Array.from({ length: 256 }, (_, i) => i));
    expect([...table].every((word) => word >>> 24 === 255 && ((word >> 8) & 255) === (word & 255))).toBe(true);
  });

  it("gives 16 bits the greys of the 8 bits they are nearest to", () => {
    const table = greyTable(fullGrey(), 16);
    for (const value of [0, 257, 32768, 65535, 12345]) expect(grey(table[value])).toBe(Math.round(value / 257));
  });

  it("tells two neighbouring 16-bit values apart in the narrowest window", () => {
    const table = greyTable({ window: 1, level: 100, invert: false }, 16);
    expect(new Set(Array.from(table.subarray(25600, 25800), grey)).size).toBeGreaterThan(190);
  });

  it("is black below the window, white above, and the other way round when inverted", () => {
    const window = { window: 100, level: 120, invert: false };
    const [table, inverted] = [greyTable(window, 8), greyTable({ ...window, invert: true }, 8)];
    expect([grey(table[70]), grey(table[120]), grey(table[170])]).toEqual([0, 128, 255]);
    for (let v = 0; v < 256; v += 1) expect(grey(inverted[v])).toBe(255 - grey(table[v]));
  });

  it("is applied to samples word by word", () => {
    const target = new Uint32Array(3);
    applyTable(new Uint8Array([2, 0, 1]), new Uint32Array([10, 20, 30]), target);
    expect([...target]).toEqual([30, 10, 20]);
  });
});

describe("tables of colours", () => {
  const base64 = btoa(String.fromCharCode(...Array.from({ length: 1024 }, (_, i) => (i % 4 === 3 ? 255 : Math.floor(i / 4)))));

  it("come as RGBA and become little-endian words", () => {
    const table = colourTable(base64);
    expect(table[7]).toBe(0xff070707);
    expect(gradient(table, false).startsWith("linear-gradient(90deg,rgba(0,0,0,1.00)")).toBe(true);
    expect(gradient(table, true)).toContain("rgba(1,1,1,1.00)");
  });

  it("of another length are refused", () => expect(() => colourTable(btoa("abc"))).toThrow("1024"));
});

it("a window is kept where something can be seen", () => {
  expect(limited(-5, 300)).toEqual({ window: 1, level: 255 });
  expect(limited(9999, -1)).toEqual({ window: 510, level: 0 });
});
