/** What it costs to verify: a call run again against the node's own run of it, in turn, and a receipt's checks by themselves. */
import { type Call, utf8, verifyReceiptFile } from "@tallystick/protocol";
import { modelFolders } from "../models/load.ts";
import { openReexecution } from "../packages/server/src/execution/reexecute.ts";
import { exampleCall, openTestNode, readSource, type Source } from "../test/claims.ts";
import { issueReceipt } from "../test/one-receipt.ts";
import { median, type Row } from "./ratio.ts";

const ROUNDS = 3;
/** As many calls to a round as take about this long, and one at least. */
const ROUND_MS = 300;

export async function benchVerification(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const folder of modelFolders()) {
    const source = await readSource(folder);
    rows.push(...(await benchModel(folder, "reexecution", source, exampleCall(folder, source))));
  }
  const native = await readSource("state-of-the-union", {
    engine: "native",
    tolerance: { absolute: "0.001", relative: "0" },
  });
  rows.push(...(await benchModel("state-of-the-union", "forcing", native, exampleCall("state-of-the-union", native))));
  return [...rows, await benchReceiptFile()];
}

/** Processor time of a piece of work, of all threads: the judge and the node of this bench are threads of one process. */
async function cpuMs(work: () => Promise<unknown>, count: number): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}

async function benchModel(folder: string, method: string, source: Source, call: Call): Promise<Row[]> {
  await using node = await openTestNode();
  await using judge = await openReexecution({ log: () => {} });
  const claim = await node.answer(source, call);
  const verify = async () => {
    const { outcome, detail } = await judge.reexecute(claim);
    if (outcome !== "passed") throw new Error(`${folder} is ${outcome}: ${detail}`);
  };
  // A native engine runs in a process of its own, whose time is not this one's: there the judge's runs of it are the node's.
  const own = method === "forcing" ? { ...source, manifest: { ...source.manifest, engine: "judge" as const } } : source;
  const answer = () => node.answer(own, call);
  await answer();
  await verify();
  const begun = performance.now();
  await verify();
  const count = Math.max(1, Math.ceil(ROUND_MS / (performance.now() - begun)));
  const rounds: { ofNode: number; ofVerifier: number }[] = [];
  for (let i = 0; i < ROUNDS; i++)
    rounds.push({ ofNode: await cpuMs(answer, count), ofVerifier: await cpuMs(verify, count) });
  const name = `${method} of ${folder}`;
  return [
    {
      name: `${name}, of the node's run`,
      value: median(rounds.map(({ ofNode, ofVerifier }) => ofVerifier / ofNode)),
      unit: "×",
      baseline: "the same call answered on the judge runtime, without signing and log",
    },
    { name: `${name}, CPU`, value: median(rounds.map(({ ofVerifier }) => ofVerifier)), unit: "ms" },
  ];
}

const RECEIPTS = 200;

async function benchReceiptFile(): Promise<Row> {
  const { text, log } = await issueReceipt();
  const file = utf8(text);
  const verify = async () => {
    const verdict = await verifyReceiptFile(file, log.trust);
    if (verdict.outcome !== "verified") throw new Error("the bench's receipt does not verify");
  };
  const rounds: number[] = [];
  await cpuMs(verify, RECEIPTS);
  for (let i = 0; i < ROUNDS; i++) rounds.push(await cpuMs(verify, RECEIPTS));
  return { name: "a receipt file verified, warm, CPU", value: median(rounds), unit: "ms", bound: { atMost: 2 } };
}
