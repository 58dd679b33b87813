// Look-up tables from stored samples to displayed pixels, as little-endian RGBA words.

export const FULL_WINDOW = 255;
export const FULL_LEVEL = 127.5;
export const NARROWEST_WINDOW = 1;
export const WIDEST_WINDOW = 510;

/** Window and level in 256ths of the full range, for 8-bit and 16-bit pictures alike. */
export interface Grey {
  window: number;
  level: number;
  invert: boolean;
}

export function fullGrey(): Grey {
  return { window: FULL_WINDOW, level: FULL_LEVEL, invert: false };
}

/** Grey for every stored value: linear within the window, black below, white above. */
export function greyTable(grey: Grey, bits: 8 | 16): Uint32Array {
  const size = bits === 8 ? 256 : 65536;
  const unit = 255 / (size - 1);
  const table = new Uint32Array(size);
  const { window, level, invert } = grey;
  for (let value = 0; value < size; value += 1) {
    let shown = Math.round(((value * unit - level) / window + 0.5) * 255);
    shown = shown < 0 ? 0 : shown > 255 ? 255 : shown;
    if (invert) shown = 255 - shown;
    table[value] = (0xff000000 | (shown << 16) | (shown << 8) | shown) >>> 0;
  }
  return table;
}

/** Colours of a map from 256 RGBA quadruples in base64. */
export function colourTable(base64: string): Uint32Array {
  const text = atob(base64);
  if (text.length !== 1024) throw new Error(`A table of colours has ${text.length} bytes; expected 1024.`);
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i += 1) {
    const [r, g, b, a] = [0, 1, 2, 3].map((k) => text.charCodeAt(4 * i + k));
    table[i] = ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return table;
}

/** Map samples through a table into words of an ImageData of the same size. */
export function applyTable(samples: Uint8Array | Uint16Array, table: Uint32Array, target: Uint32Array): void {
  const n = samples.length;
  for (let i = 0; i < n; i += 1) target[i] = table[samples[i]];
}

/** CSS gradient of a table, left to right; a signed table begins at its level 1. */
export function gradient(table: Uint32Array, signed: boolean): string {
  const stops: string[] = [];
  const first = signed ? 1 : 0;
  for (let k = 0; k <= 16; k += 1) {
    const word = table[Math.round(first + ((255 - first) * k) / 16)];
    const alpha = ((word >>> 24) / 255).toFixed(2);
    stops.push(`rgba(${word & 255},${(word >>> 8) & 255},${(word >>> 16) & 255},${alpha})`);
  }
  return `linear-gradient(90deg,${stops.join(",")})`;
}

/** Keep window and level where a picture can still be seen. */
export function limited(window: number, level: number): { window: number; level: number } {
  return {
    window: Math.min(Math.max(window, NARROWEST_WINDOW), WIDEST_WINDOW),
    level: Math.min(Math.max(level, 0), 255),
  };
}
