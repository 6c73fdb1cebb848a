/**
 * `silero-vad@1`: when somebody speaks, by Silero VAD. The sound goes through the graph in windows of 512 samples at
 * 16 kHz, each with the last 64 of the one before it, and the graph's state is handed on from window to window.
 */
import assert from "node:assert/strict";
import type { Tensor } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import { eachAlone, findInput, onlyElement, refuse } from "./inputs.ts";
import { findNotFinite, floatTensorOf, floatValues, integerTensor } from "./numbers.ts";
import { findSegments } from "./speech-segments.ts";
import { decodeWav, type Sound } from "./wav.ts";

const RATE = 16_000;
const WINDOW = 512;
const CONTEXT = 64;
const MAX_SECONDS = 60;

export const sileroVad: Adapter = {
  name: "silero-vad",
  version: 1,
  run: (calls, kit) => eachAlone(calls, (call) => answer(call, kit)),
};

async function answer(call: Tensor[], kit: Kit): Promise<Outcome> {
  const sound = readSound(call);
  if (!sound.ok) return sound;
  const probabilities = await listen(sound.samples, kit);
  const durationS = sound.samples.length / RATE;
  const segments = findSegments(probabilities, WINDOW / RATE, durationS);
  const times = segments.flatMap(({ startS, endS }) => [startS, endS]);
  const outputs = [
    floatTensorOf("speech_probability", [probabilities.length], probabilities),
    floatTensorOf("segments", [segments.length, 2], Float32Array.from(times)),
  ];
  return { ok: true, outputs, unitCount: Math.ceil(durationS) };
}

function readSound(call: Tensor[]): Sound {
  const audio = findInput(call, "audio");
  if (audio) {
    const element = onlyElement(audio);
    return element.ok ? decodeWav(element.bytes, RATE, MAX_SECONDS) : element;
  }
  const input = findInput(call, "samples");
  if (input === undefined) return refuse(`send "audio" or "samples"`);
  const samples = floatValues(input);
  if (samples.length === 0) return refuse(`"samples" is empty`);
  if (samples.length > RATE * MAX_SECONDS) return refuse(`"samples" is longer than ${MAX_SECONDS} s: send it in parts`);
  const at = findNotFinite(samples);
  if (at >= 0) return refuse(`"samples" has a NaN or an infinity at element ${at}`);
  return { ok: true, samples };
}

/** A probability for each window; the last is filled up with silence. */
async function listen(samples: Float32Array, kit: Kit): Promise<Float32Array> {
  const probabilities = new Float32Array(Math.ceil(samples.length / WINDOW));
  const rate = integerTensor("sr", [], [RATE]);
  let state = floatTensorOf("state", [2, 1, 128], new Float32Array(256));
  let context = new Float32Array(CONTEXT);
  for (let i = 0; i < probabilities.length; i++) {
    const input = new Float32Array(CONTEXT + WINDOW);
    input.set(context);
    input.set(samples.subarray(i * WINDOW, (i + 1) * WINDOW), CONTEXT);
    context = input.slice(-CONTEXT);
    const outputs = await kit.run("vad.onnx", [floatTensorOf("input", [1, CONTEXT + WINDOW], input), state, rate]);
    const output = findInput(outputs, "output");
    const next = findInput(outputs, "stateN");
    assert(output && next, "the graph gives a probability and its state");
    probabilities[i] = floatValues(output)[0] ?? 0;
    state = { ...next, name: "state" };
  }
  return probabilities;
}
