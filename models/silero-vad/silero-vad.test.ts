import { bytesElements, bytesTensor, floats, floatTensor, utf8 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { openModel, readExample, readModelFile } from "../load.ts";

const audio = (...elements: Uint8Array[]) => [bytesTensor("audio", elements)];
const samples = (values: Float32Array) => [floatTensor("samples", [values.length], values)];

/** The samples of example.wav, whose head is the plain one of 44 bytes. */
function sentence(): Float32Array {
  const body = readModelFile("silero-vad", "example.wav").slice(44);
  return Float32Array.from(new Int16Array(body.buffer), (value) => value / 32768);
}

describe("listening", () => {
  test("finds the one sentence of the example", async () => {
    const { run } = await openModel("silero-vad");
    const [outcome] = await run([readExample("silero-vad")]);
    if (!outcome?.ok) throw new Error(outcome?.message);
    const [probabilities, segments] = outcome.outputs;
    expect(probabilities?.shape).toEqual([94]);
    expect(segments?.shape).toEqual([1, 2]);
    const [start = 0, end = 0] = floats(segments!);
    expect(start).toBeCloseTo(0.226, 3);
    expect(end).toBeCloseTo(2.846, 3);
    expect(outcome.unitCount).toBe(3);
  });

  test("hears a WAV and its samples alike, bit for bit", async () => {
    const { answer } = await openModel("silero-vad");
    expect(await answer(samples(sentence()))).toEqual(await answer(readExample("silero-vad")));
  });

  test("hears the same sentence in stereo and at three times the rate", async () => {
    const { answer } = await openModel("silero-vad");
    const [wav = new Uint8Array()] = readExample("silero-vad").flatMap(bytesElements);
    const body = new Int16Array(wav.slice(44).buffer);
    const wide = new Uint8Array(44 + body.length * 12);
    wide.set(wav.subarray(0, 44));
    const view = new DataView(wide.buffer);
    view.setUint32(4, wide.length - 8, true);
    view.setUint16(22, 2, true);
    view.setUint32(24, 48_000, true);
    view.setUint32(40, wide.length - 44, true);
    for (const [i, value] of body.entries())
      for (let k = 0; k < 6; k++) view.setInt16(44 + 12 * i + 2 * k, value, true);
    const [start = 0, end = 0] = floats((await answer(audio(wide))).get("segments")!);
    expect(Math.abs(start - 0.226)).toBeLessThan(0.1);
    expect(Math.abs(end - 2.846)).toBeLessThan(0.1);
  });

  test("finds no speech in silence, and answers for a single sample", async () => {
    const { answer } = await openModel("silero-vad");
    const silence = await answer(samples(new Float32Array(16_000)));
    expect(silence.get("segments")?.shape).toEqual([0, 2]);
    expect(Math.max(...floats(silence.get("speech_probability")!))).toBeLessThan(0.1);
    expect((await answer(samples(new Float32Array(1)))).get("speech_probability")?.shape).toEqual([1]);
  });

  test("refuses what is no sound, alone", async () => {
    const { run } = await openModel("silero-vad");
    const good = samples(new Float32Array(512));
    const outcomes = await run([
      audio(utf8("ID3")),
      good,
      samples(new Float32Array(0)),
      samples(Float32Array.of(0, Number.NaN)),
      samples(new Float32Array(16_000 * 60 + 1)),
      audio(),
    ]);
    expect(outcomes.map((outcome) => (outcome.ok ? "answered" : outcome.message))).toEqual([
      "the audio is not a WAV: send 16-bit PCM or 32-bit float WAV",
      "answered",
      '"samples" is empty',
      '"samples" has a NaN or an infinity at element 1',
      '"samples" is longer than 60 s: send it in parts',
      '"audio" takes exactly one element',
    ]);
  });
});
