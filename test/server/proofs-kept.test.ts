/** What is asked to be proved is proved once, or said not to be, through stops and kills; and a false proof is said to be false. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@tallystick/client";
import {
  commitInput,
  encodeProofEvidence,
  floats,
  floatTensor,
  parseCircuitFile,
  parseEntry,
  parseHex,
  parseProofEvidence,
  quantise,
} from "@tallystick/protocol";
import { createSystemRandom } from "@tallystick/server";
import { describe, expect, test } from "vitest";
import { openModel, readExample, readModelFile } from "../../models/load.ts";
import { openSealingKey } from "../../packages/server/src/founding.ts";
import { closeDatabase, openDatabase } from "../../packages/server/src/platform/database.ts";
import { createProofStore, type ProofStore } from "../../packages/server/src/proof-store.ts";
import { deriveKey } from "../../packages/server/src/verifying.ts";
import { temporaryFolder } from "../folder.ts";
import { copyModels, startNetwork } from "../network.ts";
import { CRS_FOLDER, CRS_SUITE, PROGRAMS_FOLDER, PROVING_TIMEOUT_MS } from "../proving.ts";
import { startDaemon } from "./daemon.ts";

const FOLDER = "breast-cancer";
const random = createSystemRandom();

type Place = { url: string; apiKey: string };

/** Uses the programs that other tests have compiled already: it takes a minute on a busy machine. */
async function sharePrograms(data: string): Promise<void> {
  await mkdir(join(PROGRAMS_FOLDER, "programs"), { recursive: true });
  await symlink(join(PROGRAMS_FOLDER, "programs"), join(data, "proving", "programs"));
}

/** Asks for the proved answers to the first `count` rows of the model's example. */
async function askProved(place: Place, count: number): Promise<string[]> {
  const client = createClient(place);
  const { manifest } = await openModel(FOLDER);
  const model = await client.model(manifest.name);
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await client.infer(model, [rowOf(i)], { tier: "proved" })).receiptId);
  return ids;
}

function rowOf(i: number) {
  const [rows] = readExample(FOLDER);
  if (rows === undefined) throw new Error(`${FOLDER} has no example`);
  const [, width = 0] = rows.shape;
  return floatTensor(
    rows.name,
    [1, width],
    floats(rows)
      .slice(0, width)
      .map((value) => value * (1 + i / 100)),
  );
}

async function proofOf({ url, apiKey }: Place, receiptId: string) {
  const headers = { authorization: `Bearer ${apiKey}` };
  return fetch(`${url}/v1/receipts/${receiptId}/proof`, { headers });
}

/** What the log says of a receipt's proof, in order. */
async function outcomesOf({ url }: Place, receiptId: string) {
  const { statements }: { statements: { entry: string }[] } = await (
    await fetch(`${url}/v1/verifications/${receiptId}`)
  ).json();
  const entries = statements.map(({ entry }) => parseEntry(Uint8Array.from(Buffer.from(entry, "base64"))));
  return entries.map((entry) => entry.kind === "verification" && `${entry.says.method} ${entry.says.outcome}`);
}

/** The store of a network that does not run. */
async function withStore<T>(data: string, work: (store: ProofStore) => T): Promise<T> {
  const sealingKey = deriveKey(await openSealingKey(join(data, "keys", "sealing-key"), random), "proofs");
  const database = openDatabase(join(data, "proving", "proofs.sqlite"));
  try {
    return work(createProofStore({ database, sealingKey, random }));
  } finally {
    closeDatabase(database);
  }
}

const idOf = (receiptId: string) => parseHex(receiptId) ?? new Uint8Array(0);

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  test("killed before its proofs are made, it makes each at the next start, has it checked, and says so once", async () => {
    process.env.CRS_PATH = CRS_FOLDER; // What the daemon goes by.
    await using folder = await temporaryFolder();
    const [data, models] = [join(folder.path, "data"), await copyModels([FOLDER], join(folder.path, "models"))];
    let ids: string[];
    {
      await using daemon = startDaemon(data, models);
      const ready = await daemon.ready;
      await sharePrograms(data);
      ids = await askProved(ready, 3);
      await daemon.stop("SIGKILL");
    }
    await using daemon = startDaemon(data, models);
    const ready = await daemon.ready;
    for (const id of ids) {
      await expect.poll(() => outcomesOf(ready, id), { timeout: PROVING_TIMEOUT_MS }).toEqual(["proof passed"]);
      expect((await proofOf(ready, id)).status).toBe(200);
    }
    expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
    await withStore(data, (store) => expect([store.waitingCount, store.listUnchecked()]).toEqual([0, []]));
  });

  test("stopped with calls that wait, it proves them at the next start; what cannot be proved is said to its requester and to everybody", async () => {
    await using folder = await temporaryFolder();
    const options = { data: join(folder.path, "data"), models: [FOLDER], crsPath: CRS_FOLDER, verifying: {} };
    let ids: string[];
    {
      await using network = await startNetwork(options);
      await sharePrograms(network.data);
      ids = await askProved(network, 3);
      await network.stop();
    }
    const [, lost = ""] = ids;
    await withStore(options.data, (store) => {
      store.destroy(idOf(lost));
      const answer = { bytes: new Uint8Array(0), salt: new Uint8Array(32) };
      store.keep(idOf(lost), { call: Uint8Array.of(0xa0), salt: new Uint8Array(32), answer });
      // A receipt that was never signed: nobody waits for its proof.
      store.keep(new Uint8Array(32), { call: Uint8Array.of(0xa0), salt: new Uint8Array(32), answer });
    });
    await using network = await startNetwork(options);
    await network.verified();
    const outcomes = await Promise.all(ids.map((id) => outcomesOf(network, id)));
    expect(outcomes).toEqual([["proof passed"], ["proof undecided"], ["proof passed"]]);
    expect(await (await proofOf(network, lost)).text()).toMatch(/was not proved \(.+\); its receipt stays as it is/);
    await network.closeEpoch();
    const { totals } = await createClient(network).usage();
    expect(totals.verification).toMatchObject({ tiers: { proved: 2, signed: 1 }, requested: 2, requestedFailures: 0 });
    await network.stop();
    await withStore(options.data, (store) => expect([store.waitingCount, store.listUnchecked()]).toEqual([0, []]));
  });

  test("a false proof that a node hands in is logged as failed, counts against the node, and gives its receipt no tier", async () => {
    await using folder = await temporaryFolder();
    const options = { data: join(folder.path, "data"), models: [FOLDER], crsPath: CRS_FOLDER };
    let ids: string[];
    {
      await using network = await startNetwork(options); // Nobody checks what it makes.
      await sharePrograms(network.data);
      ids = await askProved(network, 6);
      await network.verified();
      await network.stop();
    }
    const circuit = parseCircuitFile(readModelFile(FOLDER, "circuit.json"));
    await withStore(options.data, (store) => {
      const made = ids.map((id) => {
        const found = store.find(idOf(id));
        if (found?.state !== "made") throw new Error("it was proved");
        return { ...found, ...parseProofEvidence(found.evidence) };
      });
      const [honest, ...others] = made;
      const hand = (i: number, evidence: Uint8Array) => {
        const own = made[i];
        if (own !== undefined)
          store.conclude(idOf(ids[i] ?? ""), { state: "made", evidence, answer: own.answer }, 2 ** 31);
      };
      if (honest === undefined || others.length !== 5) throw new Error("six were asked for");
      const { proof, calls, weights } = honest;
      const callOf = (i: number) => made[i]?.calls[0] ?? expect.fail("each proof is of a call");
      const outputs = callOf(2).outputs.map((value) => value + 1n);
      const otherInput = commitInput(circuit, quantise(circuit, rowOf(9)).values, new Uint8Array(32));
      // That of another receipt; the same under this receipt's name; of another answer, input and model.
      hand(1, encodeProofEvidence({ calls, weights, proof }));
      hand(2, encodeProofEvidence({ calls: [callOf(2)], weights, proof }));
      hand(3, encodeProofEvidence({ calls: [{ ...callOf(3), outputs }], weights, proof: made[3]?.proof ?? proof }));
      hand(
        4,
        encodeProofEvidence({ calls: [{ ...callOf(4), input: otherInput }], weights, proof: made[4]?.proof ?? proof }),
      );
      hand(5, encodeProofEvidence({ calls: [callOf(5)], weights: otherInput, proof: made[5]?.proof ?? proof }));
    });
    await using network = await startNetwork({ ...options, verifying: {} });
    await network.verified();
    const [first, ...rest] = await Promise.all(ids.map((id) => outcomesOf(network, id)));
    expect([first, ...rest]).toEqual([["proof passed"], ...rest.map(() => ["proof failed"])]);
    const why = network.reported.flatMap(({ event, detail }) =>
      event === "a proof was checked: failed" ? [detail.why] : [],
    );
    expect(why).toEqual([
      "the proof is of other receipts",
      "the evidence does not hold",
      "the evidence does not hold",
      "the evidence does not hold",
      "the evidence is of other weights than the manifest's",
    ]);
    await network.closeEpoch();
    const { totals, nodes } = await createClient(network).usage();
    expect(totals.verification).toMatchObject({ tiers: { proved: 1, signed: 5 }, requested: 6, requestedFailures: 5 });
    expect(nodes).toMatchObject([{ checked: 6, failures: 5, unopened: 0, disputesUpheld: 0 }]);
    expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  });

  test("who has the opening erased has the proof erased, and is told that it is gone", async () => {
    await using network = await startNetwork({ models: [FOLDER], crsPath: CRS_FOLDER });
    await sharePrograms(network.data);
    const [id = ""] = await askProved(network, 1);
    await network.verified();
    expect((await proofOf(network, id)).status).toBe(200);
    const headers = { authorization: `Bearer ${network.apiKey}` };
    expect((await network.fetch(`/v1/receipts/${id}/opening`, { method: "DELETE", headers })).status).toBe(200);
    expect((await proofOf(network, id)).status).toBe(404);
  });
});
