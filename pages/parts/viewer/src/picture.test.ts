import { describe, expect, it } from "vitest";
import { readPicture, readPng, readRaw, shaped, sizeOf, UnreadablePicture } from "./picture";

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(kind: string, content: Uint8Array): number[] {
  const n = content.length;
  return [n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255, ...[...kind].map((c) => c.charCodeAt(0)), ...content, 0, 0, 0, 0];
}

function word(value: number): number[] {
  return [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
}

// Filters as ISO/IEC 15948 writes them, forwards: an authority independent of the reader.
function filtered(rows: number[][], kinds: number[], step: number): Uint8Array {
  const out: number[] = [];
  rows.forEach((row, y) => {
    const up = rows[y - 1] ?? row.map(() => 0);
    out.push(kinds[y]);
    row.forEach((value, i) => {
      const a = i < step ? 0 : row[i - step];
      const b = up[i];
      const c = i < step ? 0 : up[i - step];
      const p = a + b - c;
      const nearest = [a, b, c].reduce((best, each) => (Math.abs(p - each) < Math.abs(p - best) ? each : best));
      out.push((value - [0, a, b, (a + b) >> 1, nearest][kinds[y]]) & 255);
    });
  });
  return new Uint8Array(out);
}

async function png(width: number, height: number, bits: number, lines: Uint8Array, colour = 0, parts = 1): Promise<Uint8Array> {
  const header = new Uint8Array([...word(width), ...word(height), bits, colour, 0, 0, 0]);
  const packed = await deflate(lines);
  const cut = Math.ceil(packed.length / parts);
  const data = Array.from({ length: parts }, (_, k) => chunk("IDAT", packed.subarray(k * cut, (k + 1) * cut))).flat();
  const signature = [137, 80, 78, 71, 13, 10, 26, 10];
  return new Uint8Array([...signature, ...chunk("IHDR", header), ...chunk("tEXt", new Uint8Array(3)), ...data, ...chunk("IEND", new Uint8Array())]);
}

const ROWS = Array.from({ length: 7 }, (_, y) => Array.from({ length: 12 }, (_, x) => (x * 37 + y * 91 + x * y * 13) & 255));

describe("grey PNG", () => {
  it("gives back every sample under each of the five filters", async () => {
    for (const step of [1, 2])
      for (let kind = 0; kind < 5; kind += 1) {
        const kinds = ROWS.map((_, y) => (y === 0 ? kind : (kind + y) % 5));
        const read = await readPng(await png(12 / step, 7, 8 * step, filtered(ROWS, kinds, step), 0, 3));
        const expected = step === 1 ? ROWS.flat() : ROWS.flatMap((row) => row.filter((_, i) => i % 2 === 0).map((high, i) => high * 256 + row[2 * i + 1]));
        expect([...read.samples]).toEqual(expected);
        expect(read.bits).toBe(8 * step);
      }
  });

  it("is refused when it is coloured, cut off, damaged or something else", async () => {
    const lines = filtered(ROWS, [0, 0, 0, 0, 0, 0, 0], 1);
    const whole = await png(12, 7, 8, lines);
    const bad = [await png(3, 7, 8, lines, 6), whole.slice(0, -20), await png(13, 7, 8, lines), new TextEncoder().encode("hello"), await png(12, 7, 8, new Uint8Array(7 * 13).fill(9)), await png(99999, 7, 8, lines)];
    for (const bytes of bad) await expect(readPng(bytes)).rejects.toBeInstanceOf(UnreadablePicture);
    const damaged = whole.slice();
    damaged.fill(7, 70, 80);
    await expect(readPng(damaged)).rejects.toBeInstanceOf(UnreadablePicture);
  });
});

describe("raw pictures", () => {
  const samples = new Uint16Array([0, 1, 255, 256, 4095, 65535]);

  it("keep all 16 bits", async () => {
    const read = await readPicture("/frames/a/0/0.raw", await deflate(new Uint8Array(samples.buffer)));
    const picture = shaped(read, { width: 3, height: 2 });
    expect([...picture.samples]).toEqual([...samples]);
    expect([picture.width, picture.height, picture.bits]).toEqual([3, 2, 16]);
  });

  it("are refused without the right sides, with half a sample, or when they cannot be unpacked", async () => {
    const read = await readRaw(await deflate(new Uint8Array(samples.buffer)));
    expect(() => shaped(read, { width: 4, height: 2 })).toThrow(UnreadablePicture);
    expect(() => shaped(read, null)).toThrow("6 samples");
    await expect(readRaw(await deflate(new Uint8Array(3)))).rejects.toBeInstanceOf(UnreadablePicture);
    await expect(readRaw(new Uint8Array([1, 2, 3]))).rejects.toBeInstanceOf(UnreadablePicture);
  });
});

it("sides follow from the proportions only where there is no doubt", () => {
  const rounded = (columns: number, rows: number) => Number((columns / rows).toFixed(5));
  for (const [columns, rows] of [[1024, 1024], [2022, 1736], [1736, 2022], [3000, 2517]])
    expect(sizeOf(columns * rows, rounded(columns, rows))).toEqual({ width: columns, height: rows });
  expect(sizeOf(1024 * 1024, 1.1)).toBeNull();
  expect(sizeOf(7919, 1)).toBeNull();
});
