/**
 * The language model as GGUF version 3 (github.com/ggml-org/ggml/blob/master/docs/gguf.md), for llama.cpp: Llama's
 * architecture, the byte-level tokenizer, matrices in 16 bits.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EPSILON, getWeight, HEAD_SIZE, LINEARS, readWeights, SIZES, THETA, type Weight } from "./weights.ts";

const ALIGNMENT = 32;
const TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
const F32 = 0;
const F16 = 1;

type Item = { type: "uint32" | "int32" | "float32"; value: number } | { type: "bool"; value: boolean } | Text;
type Text = { type: "string"; value: string };
type Entry = Item | { type: "array"; of: "int32" | "string"; values: (number | string)[] };

/** llama.cpp's names of a layer's weights, by ours. */
const NAMES: Record<string, string> = {
  attention_norm: "attn_norm",
  query: "attn_q",
  key: "attn_k",
  value: "attn_v",
  output: "attn_output",
  mlp_norm: "ffn_norm",
  gate: "ffn_gate",
  up: "ffn_up",
  down: "ffn_down",
};

export function convert(): Uint8Array {
  const weights = readWeights();
  const named: [string, Weight][] = [
    ["token_embd.weight", getWeight(weights, "embedding.weight")],
    ["output_norm.weight", getWeight(weights, "norm.weight")],
  ];
  for (let layer = 0; layer < SIZES.layers; layer++)
    for (const part of ["attention_norm", "mlp_norm", ...LINEARS])
      named.push([`blk.${layer}.${NAMES[part]}.weight`, getWeight(weights, `layers.${layer}.${part}.weight`)]);

  let offset = 0;
  const tensors = named.map(([name, { shape, bits }]) => {
    // llama.cpp adds and multiplies vectors in 32 bits only.
    const wide = shape.length === 1;
    const bytes = wide ? Buffer.from(widen(bits).buffer) : Buffer.from(bits.buffer);
    const info = Buffer.concat([
      string(name),
      uint32(shape.length),
      ...shape.toReversed().map(uint64),
      uint32(wide ? F32 : F16),
      uint64(offset),
    ]);
    const padded = pad(bytes);
    offset += padded.length;
    return { info, padded };
  });
  const entries = Object.entries(metadata());
  const head = [
    Buffer.from("GGUF"),
    uint32(3),
    uint64(tensors.length),
    uint64(entries.length),
    ...entries.map(([name, entry]) => Buffer.concat([string(name), uint32(TYPES[entry.type]), encode(entry)])),
    ...tensors.map(({ info }) => info),
  ];
  return new Uint8Array(Buffer.concat([pad(Buffer.concat(head)), ...tensors.map(({ padded }) => padded)]));
}

function metadata(): Record<string, Entry> {
  const { model }: { model: { vocab: Record<string, number>; merges: string[] } } = JSON.parse(
    readFileSync(join(import.meta.dirname, "tokenizer.json"), "utf8"),
  );
  const tokens = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  return {
    "general.architecture": { type: "string", value: "llama" },
    "general.name": { type: "string", value: "tallystick/state-of-the-union" },
    "general.license": { type: "string", value: "Apache-2.0" },
    "general.file_type": { type: "uint32", value: F16 },
    "llama.context_length": { type: "uint32", value: SIZES.context },
    "llama.embedding_length": { type: "uint32", value: SIZES.width },
    "llama.block_count": { type: "uint32", value: SIZES.layers },
    "llama.feed_forward_length": { type: "uint32", value: SIZES.hidden },
    "llama.attention.head_count": { type: "uint32", value: SIZES.heads },
    "llama.attention.head_count_kv": { type: "uint32", value: SIZES.heads },
    "llama.attention.layer_norm_rms_epsilon": { type: "float32", value: EPSILON },
    "llama.rope.dimension_count": { type: "uint32", value: HEAD_SIZE },
    "llama.rope.freq_base": { type: "float32", value: THETA },
    "llama.vocab_size": { type: "uint32", value: SIZES.vocabulary },
    "tokenizer.ggml.model": { type: "string", value: "gpt2" },
    "tokenizer.ggml.pre": { type: "string", value: "gpt-2" },
    "tokenizer.ggml.tokens": { type: "array", of: "string", values: tokens.map(([token]) => token) },
    // 3 is a control token, 1 a plain one.
    "tokenizer.ggml.token_type": { type: "array", of: "int32", values: tokens.map(([, id]) => (id < 2 ? 3 : 1)) },
    "tokenizer.ggml.merges": { type: "array", of: "string", values: model.merges },
    "tokenizer.ggml.bos_token_id": { type: "uint32", value: 0 },
    "tokenizer.ggml.eos_token_id": { type: "uint32", value: 1 },
    "tokenizer.ggml.add_bos_token": { type: "bool", value: true },
  };
}

function encode(entry: Entry): Buffer {
  if (entry.type === "string") return string(entry.value);
  if (entry.type === "bool") return Buffer.from([entry.value ? 1 : 0]);
  if (entry.type === "float32") return float32(entry.value);
  if (entry.type !== "array") return uint32(entry.value);
  const items = entry.values.map((value) => (typeof value === "string" ? string(value) : uint32(value)));
  return Buffer.concat([uint32(TYPES[entry.of]), uint64(items.length), ...items]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)]);
}

/** 16-bit floats, given by their bits, as 32-bit floats: a norm's are never subnormal, infinite or NaN. */
function widen(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (const [i, half] of bits.entries()) {
    const magnitude = half & 0x7fff;
    wide[i] = ((half & 0x8000) << 16) | (magnitude === 0 ? 0 : (magnitude << 13) + 0x38000000);
  }
  return new Float32Array(wide.buffer);
}
