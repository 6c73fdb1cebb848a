/** A network with a model that is free, one that is priced and one that was yanked, and what its refusals are held to. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { revisionOf } from "./requester.ts";

export const CREDIT = "statlog/credit-default";
/** Costs 5. */
export const PRICED = "wisconsin/breast-cancer";
export const YANKED = "noaa/seattle-temperature";

export async function startRefusingNetwork(): Promise<{ network: TestNetwork; yankedRevision: Uint8Array }> {
  const network = await startNetwork({ models: ["credit-default", "breast-cancer", "seattle-temperature"] });
  const yankedRevision = await revisionOf(network, YANKED);
  await network.restart(async () => {
    await changeModel(network.models, "breast-cancer", { version: "2.0.0", price: "5" });
    await changeModel(network.models, "seattle-temperature", { yanked: true });
  });
  await network.topUp(1_000n);
  return { network, yankedRevision };
}

/** Replaces members of a model's `model.json`. */
export async function changeModel(models: string, name: string, changes: object): Promise<void> {
  const path = join(models, name, "model.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...changes }));
}

/** Whatever was refused: the next call is served, the log holds together, and nothing was the network's own fault. */
export async function expectUnharmed(network: TestNetwork): Promise<void> {
  expect((await network.infer(CREDIT, [creditInput()])).status).toBe(200);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported.splice(0)).toEqual([]);
}

export type Refusal = { status: number; code: string; says: RegExp };

export const invalid = (says: RegExp): Refusal => ({ status: 400, code: "invalid_request", says });

export async function expectRefusal(answer: Response, { status, code, says }: Refusal): Promise<void> {
  const body = (await answer.json()) as { error: { code: string; message: string } } | { error: string; code: string };
  // Beneath /v2 the message is the error, as clients of the Open Inference Protocol read it.
  const refusal =
    typeof body.error === "string" ? { code: Reflect.get(body, "code"), message: body.error } : body.error;
  expect(typeof body.error).toBe(/\/v2(\/|$)/.test(new URL(answer.url).pathname) ? "string" : "object");
  expect({ status: answer.status, code: refusal.code }).toEqual({ status, code });
  expect(refusal.message).toMatch(says);
}

/** Posts with the network's API key. */
export function post(network: TestNetwork, path: string, body: BodyInit): Promise<Response> {
  return network.fetch(path, { method: "POST", headers: { authorization: `Bearer ${network.apiKey}` }, body });
}
