/** The tier `proved` by command: asked for, waited for, verified here, and again without a network. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemEdges } from "@tallystick/client";
import { describe, expect, test } from "vitest";
import { openModel } from "../../models/load.ts";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { infer } from "../../packages/client/src/cli/infer.ts";
import { type VerifyArguments, verify } from "../../packages/client/src/cli/verify.ts";
import { temporaryFolder } from "../folder.ts";
import { startNetwork } from "../network.ts";
import { CRS_FOLDER, CRS_SUITE, PROVING_TIMEOUT_MS } from "../proving.ts";

const FOLDER = "breast-cancer";

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  test("a proof that is asked for by command verifies by command, and for another answer or another receipt it does not", async () => {
    await using folder = await temporaryFolder();
    await using network = await startNetwork({ models: [FOLDER], crsPath: CRS_FOLDER, verifying: {} });
    const { manifest } = await openModel(FOLDER);

    async function run<T>(command: (context: Parameters<typeof verify>[1]) => Promise<T>, isOffline = false) {
      const out: string[] = [];
      const terminal = { out: (text: string) => void out.push(text), err: () => {}, isTty: false };
      const env = { TALLYSTICK_HOME: join(folder.path, "home") };
      const fetch: typeof globalThis.fetch = () => Promise.reject(new TypeError("no network"));
      const edges = isOffline ? { ...systemEdges, fetch } : systemEdges;
      const exit = await command({ terminal, home: openHome(env), edges, env });
      return { exit, ...JSON.parse(out.join("")) };
    }
    type Context = Parameters<typeof verify>[1];
    /** Waits for a proof however long a busy machine takes. */
    const patient = (context: Context) => ({ ...context, edges: { ...context.edges, nowMs: () => 0 } });
    const place = { network: network.url, vkey: network.logVkey, apiKey: network.apiKey, json: true };
    const ask = (save: string) =>
      run((context) => infer({ ...place, model: manifest.name, example: false, tier: "proved", save }, context));
    const look = (what: string, more: Partial<VerifyArguments> = {}, isOffline = false) =>
      run((context) => verify({ ...place, what, ...more }, patient(context)), isOffline);

    const [file, other] = [join(folder.path, "receipt.json"), join(folder.path, "other.json")];
    const { receiptId } = await ask(file);
    const said = await look(receiptId);
    expect(said).toMatchObject({ exit: 0, outcome: "verified", tier: "proved", proofLimits: expect.any(Array) });
    const states = Object.fromEntries(said.checks.map(({ name, state }: Line) => [name, state]));
    expect(states).toMatchObject({ "proved input": "passed", "proved answer": "passed", proof: "passed" });
    await network.verified();
    const later = await look(receiptId);
    expect(later).toMatchObject({ exit: 0, reached: "proved" });
    expect(later.checks.find(({ name }: Line) => name === "proof check")?.detail).toContain("verified its proof");

    const { network: _, ...nowhere } = place;
    const offline = await run((context) => verify({ ...nowhere, what: file }, context), true);
    expect(offline).toMatchObject({ exit: 0, reached: "proved" });
    expect(offline.checks.at(-1)).toMatchObject({ name: "proof", state: "passed" });

    const kept = join(folder.path, "home", "proofs", receiptId);
    await ask(other);
    expect(await look(other, { proof: kept })).toMatchObject({ exit: 3, failure: "wrong_id" });
    const bytes = await readFile(kept);
    const changed = join(folder.path, "changed");
    await writeFile(changed, bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1));
    expect(await look(receiptId, { proof: changed })).toMatchObject({ exit: 3, failure: "bad_proof" });
    const stranger = await run((context) =>
      verify(
        { ...place, apiKey: "tally-nobody", what: receiptId },
        { ...context, home: openHome({ TALLYSTICK_HOME: join(folder.path, "stranger") }) },
      ),
    );
    expect(stranger).toMatchObject({ exit: 0, reached: "proved" });
    expect(stranger.checks.at(-1)).toMatchObject({ name: "proof", state: "not_checked" });
  });
});

type Line = { name: string; state: string; detail: string };
