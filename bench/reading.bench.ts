/** The log read over HTTP, against nginx serving the same files of the same folder: one process each, the same client, in turn. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseCheckpoint, TILE_WIDTH, tilePath, tileWidth } from "@tallystick/protocol";
import { systemCode } from "../packages/server/src/platform/errors.ts";
import { startNginx } from "./nginx.ts";
import { loadFrom, startNetwork } from "./process.ts";
import { median, type Row } from "./ratio.ts";
import { CALL } from "./serving.bench.ts";

/** Entries that the log has at least. */
const ENTRIES = 3_000;
const FILL_MS = 4_000;
/** Twice the network's interval of epochs: then the log is still. */
const STILL_MS = 20_000;
/** Of the mix, which is held to the bound, and of each kind by itself, which is shown. */
const MIX_ROUNDS = 9;
const KIND_ROUNDS = 3;
const DURATION_S = 2;
const CONNECTIONS = 64;

/** Of a hundred requests, how many are of each kind. */
const MIX = { "full tiles": 40, bundles: 20, "partial tiles": 25, checkpoint: 15 } as const;
type Kind = keyof typeof MIX;
type Load = { name: string; script: string };

const run = promisify(execFile);

export async function benchReading(): Promise<Row[]> {
  for (const [program, flag] of [
    ["nginx", "-v"],
    ["wrk", "-v"],
  ] as const) {
    const isThere = await run(program, [flag]).then(
      () => true,
      (error: unknown) => systemCode(error) !== "ENOENT",
    );
    if (isThere) continue;
    console.log(`skip reading: there is no ${program} on this machine`);
    return [];
  }
  const network = await startNetwork();
  try {
    const tiles = join(network.data, "log", "tiles");
    while ((await sizeOf(tiles)) < ENTRIES)
      await loadFrom({ ...CALL, url: network.url + CALL.path, headers: network.headers, durationMs: FILL_MS });
    const size = await stillSize(tiles);
    const plain = await startNginx(tiles, { keepsFilesOpen: false });
    const tuned = await startNginx(tiles, { keepsFilesOpen: true });
    try {
      const loads = await writeLoads(network.data, pathsOf(size));
      return await measure({ plain, tuned, ours: network }, loads, size);
    } finally {
      await plain.close();
      await tuned.close();
    }
  } finally {
    await network.close();
  }
}

async function sizeOf(tiles: string): Promise<number> {
  return parseCheckpoint(await readFile(join(tiles, "checkpoint"))).size;
}

/** The size of the log once it has stayed the same for as long as an epoch may take. */
async function stillSize(tiles: string): Promise<number> {
  for (let size = await sizeOf(tiles); ; ) {
    await new Promise((resolve) => setTimeout(resolve, STILL_MS));
    const next = await sizeOf(tiles);
    if (next === size) return size;
    size = next;
  }
}

function pathsOf(size: number): Record<Kind, string[]> {
  const full = Array.from({ length: Math.floor(size / TILE_WIDTH) }, (_, index) => index);
  const levels = [0, 1, "entries"] as const;
  const partial = levels
    .map((level) => ({ level, hashes: Math.floor(size / (level === 1 ? TILE_WIDTH : 1)) }))
    .map(({ level, hashes }) => ({ level, index: Math.floor(hashes / TILE_WIDTH) }))
    .map(({ level, index }) => ({ level, index, width: tileWidth(level, index, size) }))
    .filter(({ width }) => width > 0);
  return {
    "full tiles": full.map((index) => tilePath({ level: 0, index, width: TILE_WIDTH })),
    bundles: full.map((index) => tilePath({ level: "entries", index, width: TILE_WIDTH })),
    "partial tiles": partial.map(tilePath),
    checkpoint: ["checkpoint"],
  };
}

/** Scripts for wrk: the mix, and each kind by itself. */
async function writeLoads(folder: string, paths: Record<Kind, string[]>): Promise<Load[]> {
  const kinds = Object.keys(MIX) as Kind[];
  const mixed = kinds.flatMap((kind) => Array.from({ length: MIX[kind] }, (_, i) => at(paths[kind], i)));
  // Spread evenly and the same in each run: 37 shares no factor with 100.
  const spread = mixed.map((_, i) => at(mixed, 37 * i));
  const lists: [string, string[]][] = [
    ["mix", spread],
    ...kinds.map((kind): [string, string[]] => [kind, paths[kind]]),
  ];
  return Promise.all(
    lists.map(async ([name, list]) => {
      const script = join(folder, `${name.replace(" ", "-")}.lua`);
      const strings = list.map((path) => `wrk.format("GET", "/${path}")`);
      const lua = `local all, n = {}, 0\nfunction init() all = {${strings.join(", ")}} end\nfunction request() n = n % #all + 1; return all[n] end\n`;
      await writeFile(script, lua);
      return { name, script };
    }),
  );
}

function at(list: readonly string[], i: number): string {
  const found = list[i % list.length];
  if (found === undefined) throw new Error("the log is too short for this bench");
  return found;
}

type Server = { url: string; cpuMs(): number };
type Servers = { plain: Server; tuned: Server; ours: Server };
type Measured = { rate: number; cpuMs: number };

async function measure({ plain, tuned, ours }: Servers, loads: readonly Load[], size: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, script } of loads) {
    const isMix = name === "mix";
    const rounds: Record<keyof Servers, Measured>[] = [];
    const round = async () => ({
      ours: await measureOne(ours, script),
      plain: await measureOne(plain, script),
      tuned: await measureOne(tuned, script),
    });
    await round(); // Warm.
    for (let i = 0; i < (isMix ? MIX_ROUNDS : KIND_ROUNDS); i++) rounds.push(await round());
    const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
    rows.push(
      {
        name: `${name}, requests/s, of nginx`,
        value: of(({ ours, plain }) => ours.rate / plain.rate),
        unit: "×",
        ...(isMix ? { bound: { atLeast: 0.8 } } : {}),
        baseline: "nginx, one worker, sendfile, the same files, client and headers",
      },
      {
        name: `${name}, requests/s, of nginx that keeps files open`,
        value: of(({ ours, tuned }) => ours.rate / tuned.rate),
        unit: "×",
        baseline: "the same with open_file_cache",
      },
      { name: `${name}, requests/s`, value: of(({ ours }) => ours.rate), unit: "/s" },
      { name: `${name}, CPU a request`, value: of(({ ours }) => 1000 * ours.cpuMs), unit: "µs" },
      { name: `${name}, CPU a request, nginx`, value: of(({ plain }) => 1000 * plain.cpuMs), unit: "µs" },
    );
  }
  return [...rows, { name: "entries in the log", value: size, unit: "" }];
}

/** What wrk, with one thread, gets through. Throws where an answer is not 200. */
async function measureOne({ url, cpuMs }: Server, script: string): Promise<Measured> {
  const before = cpuMs();
  const { stdout } = await run("wrk", ["-t1", `-c${CONNECTIONS}`, `-d${DURATION_S}s`, "-s", script, url]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url} did not answer everything: ${stdout}`);
  const count = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return { rate: Number(/Requests\/sec:\s*([0-9.]+)/.exec(stdout)?.[1]), cpuMs: (cpuMs() - before) / count };
}
