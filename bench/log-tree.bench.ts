/** A million entries made into tiles, and proofs from those: built against the hashes that they take, and verified. */
import { hash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checkpointText,
  consistencyRanges,
  encodeNote,
  Frontier,
  inclusionRanges,
  leafHash,
  type Range,
  subtrees,
  utf8,
  verifyConsistency,
  verifyInclusion,
} from "@tallystick/protocol";
import { INTEGRATED_TOGETHER } from "../packages/server/src/log/opening.ts";
import { Tree } from "../packages/server/src/log/tree.ts";
import { systemDisk } from "../packages/server/src/platform/disk.ts";
import { openNoteSigner } from "../packages/server/src/platform/keys.ts";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";
import { median, type Row } from "./ratio.ts";

const LEAVES = 1_000_000;
const ENTRY_SIZE_BYTES = 600;
const ROUNDS = 5;
const PROOFS = 1_000;

/** Sequenced entries to tiles on disk and a signed checkpoint, as many at a time as the log takes. Seconds. */
async function integrateAll(tree: Tree, folder: string, sequenced: readonly { entry: Uint8Array; leaf: Uint8Array }[]) {
  const signer = await openNoteSigner(join(folder, "checkpoint.pem"), () => "bench.example/log");
  const { name, id } = signer.key;
  const started = performance.now();
  for (let from = 0; from < LEAVES; from += INTEGRATED_TOGETHER) {
    const length = Math.min(INTEGRATED_TOGETHER, LEAVES - from);
    const batch = Array.from({ length }, (_, i) => ({
      index: from + i,
      ...sequenced[(from + i) % sequenced.length]!,
    }));
    await tree.integrate(batch);
  }
  const text = checkpointText({ origin: name, size: tree.size, root: tree.root() });
  const note = encodeNote({ text, signatures: [{ name, id, signature: signer.sign(utf8(text)) }] });
  await systemDisk.write([{ path: join(folder, "checkpoint"), bytes: utf8(note) }]);
  return (performance.now() - started) / 1000;
}

/** How many hashes of two follow from tiles for a proof of `ranges`: the nodes between a tile's hashes and the proof's. */
function hashCount(ranges: readonly Range[]): number {
  const parts = ranges.map(subtrees);
  const inTiles = parts.flat().reduce((count, { level }) => count + 2 ** (level % 8) - 1, 0);
  return parts.reduce((count, { length }) => count + length - 1, inTiles);
}

/** Node.js's own SHA-256 of two hashes, again and again. Milliseconds. */
function hashPlainly(count: number): number {
  const node = createSystemRandom()(65);
  const started = performance.now();
  for (let i = 0; i < count; i++) hash("sha256", node, "binary");
  return performance.now() - started;
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** One proof to build, what it takes, and its check. */
type Proof = { ranges: Range[]; build(): Promise<Uint8Array[]>; holds(proof: readonly Uint8Array[]): boolean };

async function measure(name: string, proofs: readonly Proof[]): Promise<Row[]> {
  const hashes = proofs.reduce((count, { ranges }) => count + hashCount(ranges), 0);
  for (const { build } of proofs) await build(); // Warm: files are in the system's cache.
  const rounds: { built: number; ratio: number; verified: number }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const made: Uint8Array[][] = [];
    const plainMs = hashPlainly(hashes);
    const builtMs = await timeOf(async () => {
      for (const { build } of proofs) made.push(await build());
    });
    const verifiedMs = await timeOf(async () => {
      if (!proofs.every(({ holds }, i) => holds(made[i] ?? []))) throw new Error("a proof does not hold");
    });
    const perSecond = (ms: number) => (1000 * proofs.length) / ms;
    rounds.push({ built: perSecond(builtMs), ratio: plainMs / builtMs, verified: perSecond(verifiedMs) });
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  const baseline = `Node.js's SHA-256 of 65 bytes, ${Math.round(hashes / proofs.length)} a proof: what follows from tiles of height 8`;
  return [
    { name: `${name} built/s, of baseline`, value: of(({ ratio }) => ratio), unit: "×", baseline },
    { name: `${name} built/s`, value: of(({ built }) => built), unit: "/s" },
    { name: `${name} verified/s`, value: of(({ verified }) => verified), unit: "/s" },
  ];
}

function rootsAt(sizes: ReadonlySet<number>, leafOf: (index: number) => Uint8Array): Map<number, Uint8Array> {
  const roots = new Map<number, Uint8Array>();
  const frontier = new Frontier();
  while (frontier.size < LEAVES) {
    frontier.push(leafOf(frontier.size));
    if (sizes.has(frontier.size)) roots.set(frontier.size, frontier.root());
  }
  return roots;
}

export async function benchLogTree(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const random = createSystemRandom();
  const sequenced = Array.from({ length: 100_003 }, () => {
    const entry = random(ENTRY_SIZE_BYTES);
    return { entry, leaf: leafHash(entry) };
  });
  const leafOf = (index: number) => sequenced[index % sequenced.length]!.leaf;
  try {
    const tree = new Tree(systemDisk, join(folder, "tiles"));
    const before = process.cpuUsage();
    const seconds = await integrateAll(tree, folder, sequenced);
    const { user, system } = process.cpuUsage(before);
    const root = tree.root();
    // A prime's multiples are spread over the tree, each in a tile of its own.
    const spread = Array.from({ length: PROOFS }, (_, i) => (i * 611_953) % LEAVES);
    const inclusion = (index: number): Proof => ({
      ranges: inclusionRanges(index, LEAVES),
      build: () => tree.inclusionProof(index, LEAVES),
      holds: (proof) => verifyInclusion(leafOf(index), index, LEAVES, proof, root),
    });
    const sizes = spread.slice(0, PROOFS / 5).map((index) => index + 1);
    const roots = rootsAt(new Set(sizes), leafOf);
    const consistency = (size: number): Proof => ({
      ranges: consistencyRanges(size, LEAVES),
      build: () => tree.consistencyProof(size, LEAVES),
      holds: (proof) => verifyConsistency(size, LEAVES, roots.get(size)!, root, proof),
    });
    const newest = Array.from({ length: PROOFS }, (_, i) => LEAVES - 1 - i);
    return [
      { name: `${LEAVES} entries of 600 bytes integrated`, value: seconds, unit: "s", bound: { atMost: 20 } },
      { name: "the same, CPU of all threads", value: (user + system) / 1e6, unit: "s" },
      ...(await measure("inclusion proofs, spread over a million,", spread.map(inclusion))),
      ...(await measure("inclusion proofs of the newest thousand", newest.map(inclusion))),
      ...(await measure("consistency proofs, spread over a million,", sizes.map(consistency))),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}
