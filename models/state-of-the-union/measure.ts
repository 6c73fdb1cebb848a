import { floatTensor, type Quality, type Tensor } from "@tallystick/protocol";
import { openByteLevel } from "../../packages/server/src/execution/adapters/byte-level.ts";
import { openModel, readModelFile } from "../load.ts";
import { HEAD_SIZE, SIZES } from "./weights.ts";

const { context, heads, layers, vocabulary } = SIZES;

/** How well the model foresees text that it has not seen, in every second window of its whole context. */
export async function measure(): Promise<Quality[]> {
  const { kit } = await openModel("state-of-the-union");
  const tokenizer = openByteLevel(kit.file("tokenizer.json"));
  const begin = tokenizer.controls.get("<s>") ?? 0;
  const end = tokenizer.controls.get("</s>") ?? 1;
  const passages = new TextDecoder().decode(readModelFile("state-of-the-union", "heldout.txt")).trim().split("\n");
  const tokens = passages.flatMap((text) => [begin, ...tokenizer.encode(text), end]);
  let loss = 0;
  let tokenCount = 0;
  let byteCount = 0;
  for (let at = 0; at + context < tokens.length; at += 2 * context) {
    const outputs = await kit.run("model.onnx", feedsOf(tokens.slice(at, at + context)));
    const logits = valuesOf(outputs.find(({ name }) => name === "logits"));
    for (let i = 0; i < context; i++) {
      const target = tokens[at + i + 1] ?? 0;
      loss += lossOf(logits.subarray(i * vocabulary, (i + 1) * vocabulary), target);
      byteCount += tokenizer.bytesOf(target).length;
      tokenCount++;
    }
  }
  const on = `${tokenCount} tokens of addresses that it has not seen`;
  return [
    { metric: "loss, nats a token", value: (loss / tokenCount).toFixed(2), on },
    { metric: "bits a byte", value: (loss / Math.LN2 / byteCount).toFixed(2), on },
  ];
}

function feedsOf(tokens: number[]): Tensor[] {
  const data = new Uint8Array(BigInt64Array.from(tokens, BigInt).buffer);
  const ids: Tensor = { name: "input_ids", datatype: "INT64", shape: [1, tokens.length], data };
  const past = Array.from({ length: layers }, (_, i) => ["key", "value"].map((part) => `past_key_values.${i}.${part}`));
  return [ids, ...past.flat().map((name) => floatTensor(name, [1, heads, 0, HEAD_SIZE], []))];
}

function valuesOf(tensor: Tensor | undefined): Float32Array {
  if (tensor === undefined) throw new Error("the graph gives no logits");
  return new Float32Array(tensor.data.slice().buffer);
}

/** The negative logarithm of the probability of `target`. */
function lossOf(logits: Float32Array, target: number): number {
  const highest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - highest), 0);
  return Math.log(sum) + highest - (logits[target] ?? 0);
}
