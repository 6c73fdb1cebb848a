import { floats, floatTensor, type Quality, type Tensor } from "@tallystick/protocol";
import { openModel, readExample } from "../load.ts";

const RATE = 16_000;
/** Where the sentence of example.wav begins and ends, by ear. */
const SENTENCE_S = [0.3, 2.75] as const;

/** How sure the model is of speech in a read sentence, and of what is none. */
export async function measure(): Promise<Quality[]> {
  const model = await openModel("silero-vad");
  const mean = async (call: Tensor[], from = 0, to = Number.POSITIVE_INFINITY) => {
    const output = (await model.answer(call)).get("speech_probability");
    const windows = [...(output ? floats(output) : [])].filter((_, i) => i * 0.032 >= from && (i + 1) * 0.032 <= to);
    return (windows.reduce((sum, p) => sum + p, 0) / windows.length).toFixed(3);
  };
  const metric = "mean probability of speech";
  return [
    { metric, value: await mean(readExample("silero-vad"), ...SENTENCE_S), on: "a sentence read aloud" },
    {
      metric,
      value: await mean([floatTensor("samples", [2 * RATE], new Float32Array(2 * RATE))]),
      on: "2 s of silence",
    },
    { metric, value: await mean([floatTensor("samples", [2 * RATE], noise(2 * RATE))]), on: "2 s of white noise" },
  ];
}

/** Numbers of a 32-bit xorshift, from -0.05 to 0.05. */
function noise(count: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (((state >>> 0) / 2 ** 32) * 2 - 1) * 0.05;
  });
}
