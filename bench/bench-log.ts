/** A log of many receipts, made by the parts that make any: real keys, real signatures, the real log. */
import { join } from "node:path";
import {
  commit,
  encodeManifest,
  filesRoot,
  keyId,
  type Manifest,
  type NoteKey,
  possessionMessage,
  type Role,
  revisionOf,
  type Signer,
  sha256,
  signAuthorization,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { Log, type LogOptions } from "../packages/server/src/log/service.ts";
import { NO_WITNESSES } from "../packages/server/src/log/witnesses.ts";
import { systemClock } from "../packages/server/src/platform/clock.ts";
import { type Disk, systemDisk } from "../packages/server/src/platform/disk.ts";
import { createSigner, generateKey, openNoteSigner } from "../packages/server/src/platform/keys.ts";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";

/** A revision for receipts to be about. Nothing runs it: what is measured is the log. */
export function manifestNamed(name: string): Manifest {
  const artifacts = [{ path: "model.onnx", role: "model" as const, sizeBytes: 1, digest: sha256(utf8("x")) }];
  const tensor = { name: "x", datatype: "FP32" as const, shape: [-1, 1] };
  return {
    name,
    version: "1.0.0",
    category: "risk",
    task: "none",
    licence: "Apache-2.0",
    summary: "What receipts in a bench are about.",
    artifacts,
    filesRoot: filesRoot(artifacts),
    adapter: { name: "tensors", version: 1, options: "{}" },
    engine: "judge",
    forms: [[tensor]],
    outputs: [tensor],
    unit: "row",
    quality: [],
  };
}

/** Entries that may wait in the log, as in a network. */
export const LOG_QUEUE_LENGTH = 4_096;

type Keys = Record<Role & ("log" | "gateway" | "node" | "publisher"), Signer>;

/** Enrols a key for each role and publishes one revision. */
export async function foundNetwork(
  append: (entry: Uint8Array) => Promise<number>,
  newSigner = () => createSigner(generateKey()),
): Promise<{ keys: Keys; revision: Uint8Array }> {
  const keys: Keys = { log: newSigner(), gateway: newSigner(), node: newSigner(), publisher: newSigner() };
  for (const [role, { spki }] of Object.entries(keys) as [keyof Keys, Signer][])
    await append(
      (await signEntry(keys[role], "key", { version: 1, action: "enrol", role, spki, name: role })).signed.bytes,
    );
  const manifest = encodeManifest(manifestNamed("bench/model"));
  const revision = revisionOf(manifest);
  const says = { version: 1, action: "publish", revision, manifest } as const;
  await append((await signEntry(keys.publisher, "model", says)).signed.bytes);
  return { keys, revision };
}

/** What receipts in a bench say they ran on. */
export const BENCH_PROFILE = { runtime: "bench@1.0.0", binary: sha256(utf8("bench")), exactness: "exact" } as const;

/** Makes and opens an empty log in `folder`, kept as a network keeps its own. */
export async function openEmptyLog(folder: string, disk: Disk = systemDisk): Promise<Log> {
  const signer = await openNoteSigner(join(folder, "checkpoint.pem"), () => "bench.example/log");
  const options: LogOptions = {
    ...{ folder, signer, disk, clock: systemClock, report: () => {}, queueLength: LOG_QUEUE_LENGTH },
    ...{ formerKeys: [], witnessing: NO_WITNESSES, restored: false },
    ...{ integrateIntervalMs: 200, publishIntervalMs: 1_000 },
  };
  await Log.create(options);
  return Log.open(options);
}

/** Writes a log of `receiptCount` receipts into `folder`. */
export async function writeBenchLog(
  folder: string,
  receiptCount: number,
): Promise<{ key: NoteKey; largestReceiptBytes: number }> {
  const random = createSystemRandom();
  const log = await openEmptyLog(folder);
  const { signer } = log;
  const { keys, revision } = await foundNetwork((entry) => log.append(entry));
  const session = createSigner(generateKey());
  const terms = { origin: signer.key.name, gateway: keyId(keys.gateway.spki), sessionKey: session.spki };
  const grant = await signEntry(keys.gateway, "grant", {
    version: 1,
    ...terms,
    custody: "account",
    payerTag: random(16),
    tagMode: "stable",
    budget: 0n,
    paymentClass: "free",
    expiry: 0xffff_ffff,
    possession: await session.sign(possessionMessage(terms)),
  });
  await log.append(grant.signed.bytes);
  let largestReceiptBytes = 0;
  let appended: Promise<number>[] = [];
  for (let nonce = 0; nonce < receiptCount; nonce++) {
    const authorization = await signAuthorization(session, {
      version: 1,
      session: signedId(grant.signed),
      nonce,
      revision,
      request: commit("request", random(32), utf8(`request ${nonce}`)),
      tier: "signed",
      maxPrice: 0n,
      expiry: 0xffff_ffff,
      openness: "none",
      traffic: "production",
      decision: random(16),
    });
    const receipt = await signEntry(keys.node, "receipt", {
      version: 1,
      authorization: authorization.signed.bytes,
      status: "ok",
      profile: BENCH_PROFILE,
      response: commit("response", random(32), utf8(`answer ${nonce}`)),
      units: 1,
      price: 0n,
      provenance: "executed",
      sequence: nonce,
    });
    largestReceiptBytes = Math.max(largestReceiptBytes, receipt.signed.bytes.length);
    appended.push(log.append(receipt.signed.bytes));
    if (appended.length < 1_000) continue;
    await Promise.all(appended);
    appended = [];
  }
  await Promise.all(appended);
  await log.close();
  return { key: signer.key, largestReceiptBytes };
}
