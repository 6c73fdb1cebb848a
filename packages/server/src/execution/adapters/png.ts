/**
 * Looks a PNG over before it is decoded (PNG, third edition): how large it is, that its pixels are all there and
 * no more, and that nothing else in it can inflate without end.
 */
import { inflateSync } from "node:zlib";
import { concat, equal } from "@tallystick/protocol";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const KEPT_CHUNKS = new Set(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);

/** The bit depths each colour type has, and its channels. */
const COLOUR_TYPES = new Map([
  [0, { channels: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { channels: 3, depths: [8, 16] }],
  [3, { channels: 1, depths: [1, 2, 4, 8] }],
  [4, { channels: 2, depths: [8, 16] }],
  [6, { channels: 4, depths: [8, 16] }],
]);

/** The seven passes of Adam7: first column and row, and steps. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export type Header = { width: number; height: number; depth: number; channels: number; interlaced: boolean };

export function isPng(bytes: Uint8Array): boolean {
  return equal(bytes.subarray(0, SIGNATURE.length), SIGNATURE);
}

/** The size that a PNG states. Throws where there is none to read. */
export function readHeader(bytes: Uint8Array): Header {
  const [first] = readChunks(bytes.subarray(0, 33));
  if (first?.type !== "IHDR" || first.body.length !== 13) throw new Error("has no header");
  const view = new DataView(first.body.buffer, first.body.byteOffset);
  const depth = view.getUint8(8);
  const colours = COLOUR_TYPES.get(view.getUint8(9));
  const interlace = view.getUint8(12);
  if (!colours?.depths.includes(depth) || interlace > 1) throw new Error("has a header that no PNG has");
  return {
    width: view.getUint32(0),
    height: view.getUint32(4),
    depth,
    channels: colours.channels,
    interlaced: interlace === 1,
  };
}

/** `bytes` with only what makes up the picture, whose pixels are exactly as many as `header` states. */
export function screenPng(bytes: Uint8Array, header: Header): Uint8Array {
  const chunks = readChunks(bytes).filter(({ type }) => KEPT_CHUNKS.has(type));
  if (chunks.at(-1)?.type !== "IEND") throw new Error("is cut off");
  const compressed = concat(...chunks.filter(({ type }) => type === "IDAT").map(({ body }) => body));
  const expected = pixelBytes(header);
  let found: number;
  try {
    found = inflateSync(compressed, { maxOutputLength: expected + 1 }).length;
  } catch (cause) {
    throw new Error("holds pixels that cannot be unpacked", { cause });
  }
  if (found !== expected) throw new Error(`holds ${found} bytes of pixels where its size takes ${expected}`);
  return concat(SIGNATURE, ...chunks.map(({ whole }) => whole));
}

type Chunk = { type: string; body: Uint8Array; whole: Uint8Array };

/** The chunks up to IEND or the end of `bytes`; a last chunk that is not all there is left out. */
function readChunks(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at);
    if (end > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks.push({ type, body: bytes.subarray(at + 8, end - 4), whole: bytes.subarray(at, end) });
    if (type === "IEND") break;
    at = end;
  }
  return chunks;
}

/** The bytes that the filtered rows of a picture take. */
function pixelBytes({ width, height, depth, channels, interlaced }: Header): number {
  const rows = (columns: number, count: number) =>
    columns === 0 ? 0 : count * (1 + Math.ceil((columns * channels * depth) / 8));
  if (!interlaced) return rows(width, height);
  return PASSES.reduce((sum, [x, y, xStep, yStep]) => {
    return sum + rows(Math.max(0, Math.ceil((width - x) / xStep)), Math.max(0, Math.ceil((height - y) / yStep)));
  }, 0);
}
