import { deflateSync } from "node:zlib";
import { concat, utf8 } from "@tallystick/protocol";
import { encode } from "fast-png";
import { encode as encodeJpeg } from "jpeg-js";
import { describe, expect, test } from "vitest";
import { type Decoded, decodeImage } from "./image.ts";

/** A chunk of a PNG whose checksum is right, as fast-png checks it. */
function chunk(type: string, body: Uint8Array): Uint8Array {
  const named = concat(utf8(type), body);
  let crc = 0xffffffff;
  for (const byte of named) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return concat(word(body.length), named, word(~crc >>> 0));
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

type Header = { width: number; height: number; depth?: number; colour?: number; interlace?: number };

/** A PNG of any header and any rows, right or wrong. */
function png({ width, height, depth = 8, colour = 0, interlace = 0 }: Header, rows: Uint8Array, ...more: Uint8Array[]) {
  const header = concat(word(width), word(height), Uint8Array.of(depth, colour, 0, 0, interlace));
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const parts = [chunk("IHDR", header), ...more, chunk("IDAT", deflateSync(rows)), chunk("IEND", new Uint8Array())];
  return concat(signature, ...parts);
}

function pixels(decoded: Decoded): number[] {
  if (!decoded.ok) throw new Error(decoded.message);
  return [...decoded.image.rgb];
}

function refusal(bytes: Uint8Array): string {
  const decoded = decodeImage(bytes);
  return decoded.ok ? `decoded ${decoded.image.width} x ${decoded.image.height}` : decoded.message;
}

describe("a PNG is decoded to red, green and blue", () => {
  test("from grey of every depth", () => {
    for (const [depth, row] of [
      [1, [0b01000000]],
      [2, [0b00110000]],
      [4, [0x0f]],
      [8, [0, 255]],
      [16, [0, 0, 255, 255]],
    ] as const)
      expect(pixels(decodeImage(png({ width: 2, height: 1, depth }, Uint8Array.of(0, ...row))))).toEqual([
        0, 0, 0, 255, 255, 255,
      ]);
  });

  test("from colour, with its alpha over white", () => {
    const data = Uint8Array.of(10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 51);
    const bytes = encode({ width: 3, height: 1, data, channels: 4, depth: 8 });
    expect(pixels(decodeImage(bytes))).toEqual([10, 20, 30, 255, 255, 255, 204, 204, 204]);
  });

  test("from grey with alpha of 16 bits", () => {
    const row = Uint8Array.of(0, 0, 0, 0xff, 0xff, 0x80, 0x80, 0, 0);
    expect(pixels(decodeImage(png({ width: 2, height: 1, depth: 16, colour: 4 }, row)))).toEqual([
      0, 0, 0, 255, 255, 255,
    ]);
  });

  test("from a palette, whose entries may be transparent", () => {
    const palette = [chunk("PLTE", Uint8Array.of(1, 2, 3, 4, 5, 6)), chunk("tRNS", Uint8Array.of(255, 0))];
    const bytes = png({ width: 3, height: 1, depth: 1, colour: 3 }, Uint8Array.of(0, 0b01000000), ...palette);
    expect(pixels(decodeImage(bytes))).toEqual([1, 2, 3, 255, 255, 255, 1, 2, 3]);
  });

  test("from a colour that stands for transparency", () => {
    const bytes = png({ width: 2, height: 1 }, Uint8Array.of(0, 7, 8), chunk("tRNS", Uint8Array.of(0, 7)));
    expect(pixels(decodeImage(bytes))).toEqual([255, 255, 255, 8, 8, 8]);
  });

  test("from interlaced rows as from plain ones", () => {
    // Adam7 of 2 x 2: the first pixel in pass 1, its right in pass 6, the row below in pass 7.
    const bytes = png({ width: 2, height: 2, interlace: 1 }, Uint8Array.of(0, 1, 0, 2, 0, 3, 4));
    expect(pixels(decodeImage(bytes))).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
  });

  test("whatever chunks beside the picture hold", () => {
    const profile = concat(utf8("x"), Uint8Array.of(0, 0), Uint8Array.of(1, 2, 3));
    expect(pixels(decodeImage(png({ width: 1, height: 1 }, Uint8Array.of(0, 9), chunk("iCCP", profile))))).toEqual([
      9, 9, 9,
    ]);
  });
});

test("a JPEG is decoded to nearly the colours it was made of", () => {
  const { data } = encodeJpeg({ width: 16, height: 16, data: new Uint8Array(1024).fill(200) }, 90);
  const found = pixels(decodeImage(Uint8Array.from(data)));
  expect(found).toHaveLength(3 * 256);
  for (const value of found) expect(Math.abs(value - 200)).toBeLessThan(4);
});

describe("what is no image is refused with what to do", () => {
  const whole = encode({ width: 40, height: 40, data: new Uint8Array(1600).fill(77), channels: 1, depth: 8 });

  test("other bytes, or none", () => {
    for (const bytes of [new Uint8Array(), utf8("GIF89a"), Uint8Array.of(0x89, 0x50), new Uint8Array(100)])
      expect(refusal(bytes)).toBe("the image is neither a PNG nor a JPEG: send one of those");
  });

  test("a PNG cut off at any byte", () => {
    for (let size = 8; size < whole.length; size++) expect(refusal(whole.subarray(0, size))).toMatch(/^the PNG /);
  });

  test("a PNG with any one byte of it changed, or it decodes to a picture of the same size", () => {
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      expect(refusal(changed)).toMatch(/^(the (PNG|image) |decoded 40 x 40$)/);
    }
  });

  test("a size of nothing", () => {
    expect(refusal(png({ width: 0, height: 5 }, new Uint8Array()))).toBe("the PNG has no pixels");
  });

  test("a size in the header beyond the limit, before its memory is asked for", () => {
    const before = process.memoryUsage().arrayBuffers;
    expect(refusal(png({ width: 2 ** 31 - 1, height: 2 ** 31 - 1, colour: 6 }, new Uint8Array()))).toBe(
      "the PNG is 2147483647 x 2147483647 pixels: make it at most 4096 on a side",
    );
    expect(refusal(png({ width: 4097, height: 1 }, new Uint8Array(4098)))).toContain("at most 4096");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  test("fewer pixels than the header states, and more, however many more", () => {
    expect(refusal(png({ width: 100, height: 100 }, new Uint8Array(50)))).toBe(
      "the PNG holds 50 bytes of pixels where its size takes 10100",
    );
    expect(refusal(png({ width: 1, height: 1 }, new Uint8Array(2 ** 26)))).toBe(
      "the PNG holds pixels that cannot be unpacked",
    );
  });

  test("a header that no PNG has", () => {
    for (const header of [{ depth: 3 }, { colour: 5 }, { depth: 16, colour: 3 }, { interlace: 2 }])
      expect(refusal(png({ width: 1, height: 1, ...header }, new Uint8Array(9)))).toBe(
        "the PNG has a header that no PNG has",
      );
  });

  test("a colour outside the palette", () => {
    const palette = chunk("PLTE", Uint8Array.of(1, 2, 3));
    expect(refusal(png({ width: 1, height: 1, colour: 3 }, Uint8Array.of(0, 9), palette))).toBe(
      "the PNG has a colour outside its palette",
    );
  });

  test("fine interlacing, which is not read here", () => {
    expect(refusal(png({ width: 2, height: 2, depth: 1, interlace: 1 }, new Uint8Array(6)))).toBe(
      "the PNG is interlaced with less than 8 bits: save it without",
    );
  });

  test("a JPEG cut off, or of a size beyond the limit", () => {
    const { data } = encodeJpeg({ width: 64, height: 64, data: new Uint8Array(4 * 4096).map((_, i) => i * 31) }, 90);
    const jpeg = Uint8Array.from(data);
    for (const size of [2, 20, 200, 400])
      expect(refusal(jpeg.subarray(0, size))).toMatch(/^the JPEG cannot be decoded: /);
    const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
    for (const sides of [
      [0xff, 0xff, 0xff, 0xff],
      [0x10, 0x01, 0, 8],
    ]) {
      const huge = jpeg.slice();
      huge.set(sides, frame + 5);
      expect(refusal(huge)).toMatch(/^the JPEG /);
    }
  });
});
