/** A caller's PNG or JPEG as pixels. What is not one, or is too large, is refused before memory is spent on it. */
import { type DecodedPng, decode as decodePng } from "fast-png";
import { decode as decodeJpeg } from "jpeg-js";
import { isPng, readHeader, screenPng } from "./png.ts";

export const MAX_IMAGE_SIDE = 4096;

/** Red, green and blue of each pixel, row after row; what was transparent is over white. */
export type Image = { width: number; height: number; rgb: Uint8Array };

export type Decoded = { ok: true; image: Image } | { ok: false; message: string };

export function decodeImage(bytes: Uint8Array): Decoded {
  const isJpeg = bytes[0] === 0xff && bytes[1] === 0xd8;
  if (!isJpeg && !isPng(bytes))
    return { ok: false, message: "the image is neither a PNG nor a JPEG: send one of those" };
  const kind = isJpeg ? "JPEG" : "PNG";
  try {
    return { ok: true, image: isJpeg ? readJpeg(bytes) : readPng(bytes) };
  } catch (error) {
    return { ok: false, message: `the ${kind} ${error instanceof Error ? error.message : "cannot be decoded"}` };
  }
}

function checkSize(width: number, height: number): void {
  if (width === 0 || height === 0) throw new Error("has no pixels");
  if (width > MAX_IMAGE_SIDE || height > MAX_IMAGE_SIDE)
    throw new Error(`is ${width} x ${height} pixels: make it at most ${MAX_IMAGE_SIDE} on a side`);
}

function readPng(bytes: Uint8Array): Image {
  const header = readHeader(bytes);
  checkSize(header.width, header.height);
  if (header.interlaced && header.depth < 8) throw new Error("is interlaced with less than 8 bits: save it without");
  const screened = screenPng(bytes, header);
  const png = decoding(() => decodePng(screened, { checkCrc: true }));
  return { width: png.width, height: png.height, rgb: flatten(png) };
}

/** The picture over white. */
function flatten(png: DecodedPng): Uint8Array {
  const { channels, depth, palette, transparency } = png;
  const count = png.width * png.height;
  const samples = unpackSamples(png);
  const most = 2 ** depth - 1;
  const rgb = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) {
    const colour = palette?.[samples[i] ?? 0];
    if (palette && !colour) throw new Error("has a colour outside its palette");
    const at = i * channels;
    const coloured = channels > 2;
    let alpha = colour ? (colour[3] ?? 255) : 255;
    if (!palette && (channels === 2 || channels === 4)) alpha = ((samples[at + channels - 1] ?? 0) * 255) / most;
    if (transparency && !palette) {
      const width = coloured ? 3 : 1;
      let clear = true;
      for (let c = 0; c < width; c++) clear &&= samples[at + c] === transparency[c];
      if (clear) alpha = 0;
    }
    for (let c = 0; c < 3; c++) {
      const value = colour ? (colour[c] ?? 0) : ((samples[coloured ? at + c : at] ?? 0) * 255) / most;
      rgb[3 * i + c] = Math.round(255 + ((value - 255) * alpha) / 255);
    }
  }
  return rgb;
}

/** One number a sample, where a PNG may put eight into a byte. */
function unpackSamples({ width, height, channels, depth, data }: DecodedPng): ArrayLike<number> {
  if (depth >= 8) return data;
  const rowBytes = Math.ceil((width * channels * depth) / 8);
  const samples = new Uint8Array(width * height * channels);
  const perByte = 8 / depth;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const byte = data[y * rowBytes + Math.floor(x / perByte)] ?? 0;
      samples[y * width + x] = (byte >> (8 - depth * (1 + (x % perByte)))) & (2 ** depth - 1);
    }
  return samples;
}

function readJpeg(bytes: Uint8Array): Image {
  const limits = { maxResolutionInMP: MAX_IMAGE_SIDE ** 2 / 1e6, maxMemoryUsageInMB: 512 };
  const { width, height, data } = decoding(() =>
    decodeJpeg(bytes, { useTArray: true, formatAsRGBA: false, tolerantDecoding: false, ...limits }),
  );
  checkSize(width, height);
  return { width, height, rgb: data };
}

function decoding<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new Error(`cannot be decoded: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
