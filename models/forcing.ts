/**
 * Measures what forcing is worth on a GGUF model: what an honest text needs of the margin, what a wrong token may be, and how
 * far whoever writes something else comes (docs/spec/verification.md, "What forcing catches").
 *
 *   NODE_LLAMA_CPP=FOLDER npx tsx --conditions=@tallystick/source models/forcing.ts models/state-of-the-union/gguf
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LanguageModel } from "../packages/server/src/execution/decode.ts";
import { createForcing, marginOf, mayBeChosen, USUAL } from "../packages/server/src/execution/forcing.ts";
import { parseVocabulary } from "../packages/server/src/execution/gguf.ts";
import { openLanguages } from "../packages/server/src/execution/llama.ts";
import { readLlama } from "../packages/server/src/execution/profile.ts";
import { chooseToken, drawAt, type Sampling } from "../packages/server/src/execution/sampling.ts";
import { readModelSource } from "../packages/server/src/hub/source.ts";

const PROMPTS = ["The state of our Union is", "Peace", "Our farms and", "Mr. Speaker, the", "The war in", "Jobs"];
const PLACES = 60;
const NONE = new Map<number, number>();
/** Every so many places all tokens are tried. */
const STEP = 24;

/** Chooses the token of a place, by its logits and its draw. */
type Hand = (logits: Float32Array, draw: number) => number;
type Place = { token: number; logits: Float32Array; draw: number };

/** What `model` writes by `hand`, and the logits that a verifier reads for it with `reading`, many tokens at a pass. */
async function write(model: LanguageModel, reading: LanguageModel, prompt: string, seed: number, hand: Hand) {
  const encoded = model.encode({ kind: "text", text: prompt });
  if (!encoded.ok) throw new Error(encoded.message);
  const tokens: number[] = [];
  const writing = await model.begin();
  let logits = await writing.read(encoded.tokens);
  while (tokens.length < PLACES) {
    const token = hand(logits, drawAt(seed, 0, tokens.length));
    tokens.push(token);
    if (model.isEnd(token)) break;
    logits = await writing.read([token]);
  }
  await writing[Symbol.asyncDispose]();
  const verifying = await reading.begin();
  const rows = [await verifying.read(encoded.tokens), ...(await verifying.readEach(tokens.slice(0, -1)))];
  await verifying[Symbol.asyncDispose]();
  return tokens.flatMap((token, i): Place[] => {
    const row = rows[i];
    return row === undefined ? [] : [{ token, logits: row, draw: drawAt(seed, 0, i) }];
  });
}

type Tolerance = Parameters<typeof marginOf>[1];

/** The place at which a text is refused; undefined where it passes. */
function refusedAt(places: readonly Place[], sampling: Sampling, tolerance: Tolerance): number | undefined {
  const faultOf = createForcing(sampling, tolerance);
  const at = places.findIndex(({ token, logits, draw }) => faultOf(token, logits, NONE, draw) !== undefined);
  return at === -1 ? undefined : at;
}

/** The least margin with which a token may be chosen, to a ten thousandth. */
function needOf({ token, logits, draw }: Place, sampling: Sampling): number {
  let [low, high] = [0, 1];
  while (high - low > 1e-4) {
    const middle = (low + high) / 2;
    if (mayBeChosen(token, logits, sampling, NONE, draw, middle)) high = middle;
    else low = middle;
  }
  return high;
}

const share = (count: number, of: number) => `${((100 * count) / Math.max(1, of)).toFixed(1)} %`;

const [, , path = ""] = process.argv;
const { manifest, files } = await readModelSource(path);
const [bytes] = [...files].filter(([name]) => name.endsWith(".gguf")).map(([, file]) => file);
const { tolerance: stated } = manifest;
if (bytes === undefined || stated === undefined) throw new Error("name the folder of a GGUF model with a tolerance");
const tolerance = { absolute: Number(stated.absolute), relative: Number(stated.relative) };
const { module } = await readLlama(createRequire(join(process.env.NODE_LLAMA_CPP ?? ".", "index.js")).resolve);
const open = await openLanguages(module, 1);
const folder = await mkdtemp(join(tmpdir(), "tallystick-forcing-"));

/** The model with the lowest `bits` of each weight's fraction gone. */
async function load(bits: number): Promise<LanguageModel> {
  const other = Uint8Array.from(bytes ?? []);
  // Behind the tables of the tokenizer there are matrices in 16 bits, and a few short vectors.
  const from = other.length - 2_600_000;
  for (let at = from - (from % 2); bits > 0 && at < other.length; at += 2)
    other[at] = (other[at] ?? 0) & (0xff << bits);
  const file = join(folder, `${bits}.gguf`);
  await writeFile(file, other);
  return open({ manifest, gguf: { path: file, vocabulary: parseVocabulary(other) } });
}

const model = await load(0);
const others = await Promise.all([1, 3, 5].map(async (bits) => ({ bits, model: await load(bits) })));
for (const [temperature, topP] of [
  [0, 1],
  [0.7, 1],
  [1, 1],
] as const) {
  const sampling: Sampling = { temperature, topP, frequencyPenalty: 0, presencePenalty: 0 };
  const honest: Hand = (logits, draw) => chooseToken(logits, sampling, NONE, draw);
  const places: Place[] = [];
  let refused = 0;
  for (const [seed, prompt] of PROMPTS.entries()) {
    const text = await write(model, model, prompt, seed, honest);
    if (refusedAt(text, sampling, tolerance) !== undefined) refused++;
    places.push(...text);
  }
  const strays = places.filter(({ token, logits, draw }) => token !== honest(logits, draw));
  const most = Math.max(0, ...strays.map((place) => needOf(place, sampling)));
  console.log(`temperature ${temperature}, top_p ${topP}: ${places.length} honest places in ${PROMPTS.length} texts`);
  console.log(
    `  other tokens than the verifier's: ${strays.length}, which need ${most.toFixed(4)}; refused: ${refused}`,
  );
  for (const [name, part] of [
    ["the whole margin", 1],
    ["what is usual of it", USUAL],
  ] as const) {
    let [tried, passed, open] = [0, 0, 0];
    for (const [i, { token, logits, draw }] of places.entries()) {
      if (i % STEP > 0) continue;
      const margin = part * marginOf(logits, tolerance);
      const wrong = [...logits.keys()].filter((id) => id !== token);
      const found = wrong.filter((id) => mayBeChosen(id, logits, sampling, NONE, draw, margin)).length;
      tried += wrong.length;
      passed += found;
      if (found > 0) open++;
    }
    const of = Math.ceil(places.length / STEP);
    console.log(
      `  within ${name}: ${share(tried - passed, tried)} of wrong tokens caught; open places ${share(open, of)}`,
    );
  }
  for (const other of others) {
    let [byMargin, byBoth] = [0, 0];
    for (const [seed, prompt] of PROMPTS.entries()) {
      const text = await write(other.model, model, prompt, seed, honest);
      const isWithin = ({ token, logits, draw }: Place) =>
        mayBeChosen(token, logits, sampling, NONE, draw, marginOf(logits, tolerance));
      if (!text.every(isWithin)) byMargin++;
      if (refusedAt(text, sampling, tolerance) !== undefined) byBoth++;
    }
    console.log(
      `  weights without ${other.bits} bits: ${byBoth} of ${PROMPTS.length} caught, ${byMargin} by the margin alone`,
    );
  }
}
await rm(folder, { recursive: true });
