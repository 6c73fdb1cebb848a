import { concat, utf8 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { decodeWav, type Sound } from "./wav.ts";

type Format = { code?: number; channels?: number; rate?: number; bits?: number };

function wav({ code = 1, channels = 1, rate = 16_000, bits = 16 }: Format, body: Uint8Array, ...before: Uint8Array[]) {
  const format = new DataView(new ArrayBuffer(16));
  format.setUint16(0, code, true);
  format.setUint16(2, channels, true);
  format.setUint32(4, rate, true);
  format.setUint16(14, bits, true);
  const parts = concat(utf8("WAVE"), ...before, part("fmt ", new Uint8Array(format.buffer)), part("data", body));
  return part("RIFF", parts);
}

function part(name: string, body: Uint8Array): Uint8Array {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, body.length, true);
  return concat(utf8(name), size, body, new Uint8Array(body.length % 2));
}

const pcm = (...samples: number[]) => new Uint8Array(Int16Array.from(samples).buffer);
const float = (...samples: number[]) => new Uint8Array(Float32Array.from(samples).buffer);
const decode = (bytes: Uint8Array, maxSeconds = 60) => decodeWav(bytes, 16_000, maxSeconds);

function samples(sound: Sound): number[] {
  if (!sound.ok) throw new Error(sound.message);
  return [...sound.samples];
}

function refusal(bytes: Uint8Array, maxSeconds?: number): string {
  const sound = decode(bytes, maxSeconds);
  return sound.ok ? `${sound.samples.length} samples` : sound.message;
}

describe("a WAV becomes samples of one channel", () => {
  test("from 16-bit PCM", () => {
    expect(samples(decode(wav({}, pcm(0, 16384, -32768))))).toEqual([0, 0.5, -1]);
  });

  test("from 32-bit float", () => {
    expect(samples(decode(wav({ code: 3, bits: 32 }, float(0.25, -0.5))))).toEqual([0.25, -0.5]);
  });

  test("from two channels by their mean", () => {
    expect(samples(decode(wav({ channels: 2 }, pcm(16384, 0, -16384, 16384))))).toEqual([0.25, 0]);
  });

  test("past parts that are not sound, of odd sizes too", () => {
    expect(samples(decode(wav({}, pcm(16384), part("LIST", Uint8Array.of(1, 2, 3)))))).toEqual([0.5]);
  });

  test("at another rate with the same duration and the same level", () => {
    for (const rate of [8_000, 11_025, 22_050, 44_100, 48_000]) {
      const found = samples(decode(wav({ rate }, pcm(...new Array<number>(rate).fill(8192)))));
      expect(found).toHaveLength(16_000);
      for (const value of found) expect(value).toBeCloseTo(0.25, 6);
    }
  });

  test("at a lower rate without the tones that it cannot hold", () => {
    const alternating = Array.from({ length: 48_000 }, (_, i) => (i % 2 === 0 ? 16384 : -16384));
    const found = samples(decode(wav({ rate: 48_000 }, pcm(...alternating)))).slice(1, -1);
    for (const value of found) expect(Math.abs(value)).toBeLessThan(0.06);
  });
});

describe("what is no such WAV is refused with what to do", () => {
  const whole = wav({}, pcm(1, 2, 3));

  test("other bytes, and a WAV cut off at any byte", () => {
    expect(refusal(new Uint8Array())).toBe("the audio is not a WAV: send 16-bit PCM or 32-bit float WAV");
    for (let size = 12; size < whole.length; size++)
      expect(refusal(whole.subarray(0, size))).toMatch(/^the audio (is cut off|has no samples)/);
  });

  test("no samples, or samples of no format", () => {
    expect(refusal(wav({}, new Uint8Array()))).toBe("the audio has no samples");
    expect(refusal(part("RIFF", concat(utf8("WAVE"), part("data", pcm(1)))))).toBe(
      "the audio has its samples before their format",
    );
  });

  test("other formats, channels and rates", () => {
    expect(refusal(wav({ bits: 8 }, pcm(1)))).toBe(
      "the audio is of format 1 with 8 bits: send 16-bit PCM or 32-bit float",
    );
    expect(refusal(wav({ code: 6, bits: 8 }, pcm(1)))).toContain("format 6");
    expect(refusal(wav({ channels: 6 }, pcm(1)))).toBe("the audio has 6 channels: send one or two");
    expect(refusal(wav({ channels: 0 }, pcm(1)))).toContain("0 channels");
    expect(refusal(wav({ rate: 4_000 }, pcm(1)))).toBe("the audio has 4000 samples a second: send 8000 to 48000");
    expect(refusal(wav({ rate: 2 ** 32 - 1 }, pcm(1)))).toContain("4294967295");
  });

  test("a NaN or an infinity among the samples, also where two infinities meet", () => {
    expect(refusal(wav({ code: 3, bits: 32 }, float(0, Number.NaN)))).toBe(
      "the audio has a NaN or an infinity at sample 1",
    );
    const both = float(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    expect(refusal(wav({ code: 3, bits: 32, channels: 2 }, both))).toContain("at sample 0");
  });

  test("a longer one than may be sent", () => {
    expect(refusal(wav({}, pcm(...new Array<number>(16_001).fill(0))), 1)).toBe(
      "the audio is longer than 1 s: send it in parts",
    );
    expect(refusal(wav({}, pcm(...new Array<number>(16_000).fill(0))), 1)).toBe("16000 samples");
  });
});
