import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEntry, parseReceiptFile, verifyReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelFile, swellingGraph } from "../graphs.ts";
import { type Inferred, startNetwork, type TestNetwork } from "../network.ts";

let folder: string;
let network: TestNetwork;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "failing-"));
  await writeModel("judge");
  await writeModel("native");
  network = await startNetwork({ models: folder, deadlineMs: 8_000 });
  await network.topUp(1_000n);
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A model that takes as much time and memory as its input says. */
async function writeModel(engine: "judge" | "native"): Promise<void> {
  await mkdir(join(folder, engine));
  await writeFile(join(folder, engine, "model.onnx"), modelFile(swellingGraph(200)));
  const source = {
    name: `test/swelling-${engine}`,
    version: "1",
    category: "risk",
    task: "test",
    licence: "Apache-2.0",
    summary: "As large and as slow as it is asked to be.",
    engine,
    ...(engine === "native" ? { tolerance: { absolute: "0.00001", relative: "0.00001" } } : {}),
    adapter: { name: "tensors", version: 1, options: {} },
    unit: "row",
    price: "5",
    artifacts: [{ path: "model.onnx", role: "model", from: "file:model.onnx" }],
    forms: [
      [
        { name: "x", datatype: "FP32", shape: [1] },
        { name: "shape", datatype: "INT64", shape: [-1] },
      ],
    ],
    outputs: [{ name: "y", datatype: "FP32", shape: [-1] }],
    quality: [],
  };
  await writeFile(join(folder, engine, "model.json"), JSON.stringify(source));
}

function ask(engine: "judge" | "native", side: number): Promise<Inferred> {
  const inputs = [
    { name: "x", datatype: "FP32", shape: [1], data: [0.001] },
    { name: "shape", datatype: "INT64", shape: [2], data: [side, side] },
  ];
  return network.infer(`test/swelling-${engine}`, inputs, { parameters: { max_price: 5 } });
}

/** That a call ended with a receipt which says that it failed and cost nothing, and that the next call is served. */
async function expectFailedReceipt(
  { status, receiptId, body }: Inferred,
  expected: { status: number; code: string; says: RegExp },
): Promise<void> {
  expect({ status, body }).toMatchObject({
    status: expected.status,
    body: { error: expect.stringMatching(expected.says), code: expected.code, receipt_id: receiptId },
  });
  await network.idle();
  const file = new Uint8Array(await (await network.fetch(`/v1/receipts/${receiptId}`)).arrayBuffer());
  const verdict = await verifyReceiptFile(file, network.trust);
  expect(verdict.outcome).toBe("verified");
  const entry = parseEntry(parseReceiptFile(file).parts.receipt.bytes);
  expect(entry.says).toMatchObject({ status: "failed", price: 0n, units: 0 });
  expect(entry.says).not.toHaveProperty("response");
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
}

const tooLong = { status: 504, code: "deadline_exceeded", says: /no answer \(deadline\).*It cost nothing/ };

test.each(["judge", "native"] as const)(
  "a call that takes longer than its deadline ends there, with a receipt for nothing (%s)",
  async (engine) => {
    expect((await ask(engine, 3)).status).toBe(200);
    await expectFailedReceipt(await ask(engine, 3_000), tooLong);
    expect((await ask(engine, 3)).status).toBe(200);
  },
);

test("a call that wants more memory than there is fails, with a receipt for nothing", async () => {
  await expectFailedReceipt(await ask("judge", 40_000), {
    status: 502,
    code: "node_failed",
    says: /no answer \((memory|engine)\).*It cost nothing/,
  });
  expect((await ask("judge", 3)).status).toBe(200);
});

test("a call whose worker is killed in the middle fails, with a receipt for nothing, and the next gets another worker", async () => {
  expect((await ask("native", 3)).status).toBe(200);
  const [child] = children();
  expect(child).toBeGreaterThan(0);
  const slow = ask("native", 3_000);
  await ask("judge", 3); // By its answer, the slow call is under way.
  process.kill(child ?? 0, "SIGKILL");
  await expectFailedReceipt(await slow, {
    status: 502,
    code: "node_failed",
    says: /no answer \(crashed\).*It cost nothing/,
  });
  expect((await ask("native", 3)).status).toBe(200);
  expect(children()).not.toContain(child);
});

/** The processes that run models natively here, and not in a test beside this one. */
function children(): number[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="]).toString().trim().split("\n");
  const fields = rows.map((row) => row.trim().split(/\s+/));
  const own = fields.filter(
    ([, parent, ...args]) => Number(parent) === process.pid && args.join().includes("execution/child"),
  );
  return own.map(([pid]) => Number(pid));
}

test("failed calls count as gross, never as valid", async () => {
  await network.idle();
  const { totals, exclusions } = (await (await network.fetch("/v1/usage")).json()) as {
    totals: { gross: number; valid: number };
    exclusions: Record<string, number>;
  };
  expect(exclusions).toEqual({ not_ok: 4 });
  expect(totals.gross - totals.valid).toBe(4);
});
