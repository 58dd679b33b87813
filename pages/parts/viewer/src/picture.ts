// Stored samples of a picture, bit for bit: grey PNG is unpacked here and not by the browser, which
// would pass it through its colour management, flatten 16 bits to 8, and in some privacy modes add
// noise to pixels that a page reads back.

export interface Picture {
  width: number;
  height: number;
  bits: 8 | 16;
  samples: Uint8Array | Uint16Array;
}

export interface Size {
  width: number;
  height: number;
}

/** A file that is not a picture of ours, or a damaged one. */
export class UnreadablePicture extends Error {}

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const LARGEST_SIDE = 16384;

/** Read a file by its ending: `.raw` little-endian uint16 behind zlib, else PNG. A raw picture has no
 * sides of its own: it comes back as one long row, see `shaped`. */
export async function readPicture(url: string, bytes: Uint8Array): Promise<Picture> {
  return isRaw(url) ? readRaw(bytes) : readPng(bytes);
}

export function isRaw(url: string): boolean {
  return /\.raw($|\?)/.test(url);
}

export async function readRaw(bytes: Uint8Array): Promise<Picture> {
  const unpacked = await inflate(bytes);
  if (unpacked.length === 0 || unpacked.length % 2 !== 0)
    throw new UnreadablePicture(`A raw picture holds ${unpacked.length} bytes; expected two for every pixel.`);
  const n = unpacked.length / 2;
  return { width: n, height: 1, bits: 16, samples: new Uint16Array(unpacked.buffer, unpacked.byteOffset, n) };
}

/** Give a raw picture its sides. */
export function shaped(picture: Picture, size: Size | null): Picture {
  if (!size || size.width * size.height !== picture.samples.length)
    throw new UnreadablePicture(
      `A raw picture holds ${picture.samples.length} samples; expected ${size ? `${size.width} × ${size.height}` : "its width and height"}.`,
    );
  return { ...picture, ...size };
}

/** Sides of a picture of n square pixels, if its proportions leave no doubt about them. */
export function sizeOf(n: number, aspect: number): Size | null {
  const width = Math.round(Math.sqrt(n * aspect));
  const certain = width > 0 && n % width === 0 && Math.abs((width * width) / n - aspect) < 2e-5 * Math.max(1, aspect);
  return certain ? { width, height: n / width } : null;
}

/** Read a grey PNG of 8 or 16 bits, not interlaced. */
export async function readPng(bytes: Uint8Array): Promise<Picture> {
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte)) throw new UnreadablePicture("A picture is not a PNG file.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let header: DataView | null = null;
  let ended = false;
  for (let at = 8; at + 12 <= bytes.length && !ended; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) break;
    if (kind === "IHDR" && length >= 13) header = new DataView(bytes.buffer, bytes.byteOffset + at + 8, length);
    else if (kind === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    ended = kind === "IEND";
    at += 12 + length;
  }
  if (!header || !ended) throw new UnreadablePicture("A PNG file is cut off.");
  return unpacked(header, parts);
}

async function unpacked(header: DataView, parts: Uint8Array[]): Promise<Picture> {
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const [bits, colour, interlace] = [header.getUint8(8), header.getUint8(9), header.getUint8(12)];
  if (colour !== 0 || interlace !== 0 || (bits !== 8 && bits !== 16))
    throw new UnreadablePicture("A PNG file is not plain grey of 8 or 16 bits.");
  if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
    throw new UnreadablePicture(`A PNG file says it is ${width} × ${height}.`);
  const step = bits / 8;
  const lines = await inflate(...parts);
  if (lines.length !== height * (1 + width * step)) throw new UnreadablePicture("A PNG file is damaged.");
  const rows = unfiltered(lines, width * step, height, step);
  if (bits === 8) return { width, height, bits, samples: rows };
  const samples = new Uint16Array(width * height);
  for (let i = 0; i < samples.length; i += 1) samples[i] = (rows[2 * i] << 8) | rows[2 * i + 1];
  return { width, height, bits, samples };
}

/** Undo the five filters of PNG (ISO/IEC 15948, section 9). */
function unfiltered(lines: Uint8Array, stride: number, height: number, step: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let row = 0; row < height; row += 1) {
    const filter = lines[row * (stride + 1)];
    const from = row * (stride + 1) + 1;
    const to = row * stride;
    if (filter > 4) throw new UnreadablePicture("A PNG file is damaged.");
    if (filter === 0) out.set(lines.subarray(from, from + stride), to);
    else if (filter === 1) subtracted(lines, out, from, to, stride, step);
    else if (filter === 2) upped(lines, out, from, to, stride, row);
    else predicted(lines, out, { from, to, stride, step, row, paeth: filter === 4 });
  }
  return out;
}

function subtracted(lines: Uint8Array, out: Uint8Array, from: number, to: number, stride: number, step: number): void {
  for (let i = 0; i < stride; i += 1) out[to + i] = lines[from + i] + (i < step ? 0 : out[to + i - step]);
}

function upped(lines: Uint8Array, out: Uint8Array, from: number, to: number, stride: number, row: number): void {
  for (let i = 0; i < stride; i += 1) out[to + i] = lines[from + i] + (row === 0 ? 0 : out[to + i - stride]);
}

interface Line {
  from: number;
  to: number;
  stride: number;
  step: number;
  row: number;
  paeth: boolean;
}

function predicted(lines: Uint8Array, out: Uint8Array, line: Line): void {
  const { from, to, stride, step, row, paeth } = line;
  for (let i = 0; i < stride; i += 1) {
    const left = i < step ? 0 : out[to + i - step];
    const up = row === 0 ? 0 : out[to + i - stride];
    if (!paeth) {
      out[to + i] = lines[from + i] + ((left + up) >> 1);
      continue;
    }
    const corner = i < step || row === 0 ? 0 : out[to + i - stride - step];
    const guess = left + up - corner;
    const a = Math.abs(guess - left);
    const b = Math.abs(guess - up);
    const c = Math.abs(guess - corner);
    out[to + i] = lines[from + i] + (a <= b && a <= c ? left : b <= c ? up : corner);
  }
}

async function inflate(...parts: Uint8Array[]): Promise<Uint8Array> {
  const stream = new Blob(parts as BlobPart[]).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new UnreadablePicture("A picture is damaged: it cannot be unpacked.");
  }
}
