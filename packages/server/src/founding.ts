/** What a network is founded on: its keys, their enrolment, its first models and its first account. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  equal,
  hex,
  keyId,
  keyOf,
  type ModelPayload,
  parseHex,
  type Role,
  type Signer,
  signEntry,
} from "@tallystick/protocol";
import type { Accounts } from "./gateway/accounts.ts";
import type { Hub } from "./hub/service.ts";
import type { KeyName } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { OperatorError } from "./platform/errors.ts";
import type { DataFolder } from "./platform/folder.ts";
import { openSigner } from "./platform/keys.ts";
import type { Random } from "./platform/random.ts";
import { findSecret, keepSecret, openSecret } from "./platform/secrets.ts";
import type { Signing } from "./platform/signing.ts";
import type { VerifyingKeys } from "./verifying.ts";

/** The keys that sign entries, one a role. */
export type Keys = Record<Role & ("log" | "gateway" | "node" | "publisher"), Signer>;

/** The key that openings are sealed with: 32 bytes. */
export async function openSealingKey(path: string, random: Random): Promise<Uint8Array> {
  const key = parseHex(await openSecret(path, () => hex(random(32))));
  if (key?.length === 32) return key;
  throw new OperatorError(`${path} is not 64 digits of hex: restore it from a backup`);
}

/** The keys that sign entries, one a role. The log's checkpoints are signed by another. */
export async function openKeys(keyFile: (name: KeyName) => string, signing: Signing): Promise<Keys> {
  const signer = (role: keyof Keys) => openSigner(keyFile(role), signing.signer);
  return {
    log: await signer("log"),
    gateway: await signer("gateway"),
    node: await signer("node"),
    publisher: await signer("publisher"),
  };
}

/** The keys of the network's own verifier and referee. */
export async function openVerifyingKeys(keyFile: (name: KeyName) => string, signing: Signing): Promise<VerifyingKeys> {
  const signer = (role: keyof VerifyingKeys) => openSigner(keyFile(role), signing.signer);
  return { verifier: await signer("verifier"), referee: await signer("referee") };
}

/** Enrols the keys of the network's own roles where the log does not know them. */
export async function enrol({ fold, publish }: Ledger, keys: Partial<Record<Role, Signer>>): Promise<void> {
  const unknown = (Object.entries(keys) as [Role, Signer][]).filter(
    ([, { spki }]) => !fold.keys.has(keyOf(keyId(spki))),
  );
  await Promise.all(
    unknown.map(async ([role, signer]) => {
      const says = { version: 1, action: "enrol", role, spki: signer.spki, name: `local-${role}` } as const;
      await publish((await signEntry(signer, "key", says)).signed.bytes);
    }),
  );
}

/** Says in the log that its own roles are of one owner, each of all others: what they trade with one another is no use. */
export async function affiliate({ fold, publish }: Ledger, signers: readonly Signer[]): Promise<void> {
  const ids = signers.map(({ spki }) => keyId(spki)).sort(Buffer.compare);
  await Promise.all(
    signers.map(async (signer) => {
      const own = keyId(signer.spki);
      const named = fold.demand.affiliations.get(keyOf(own));
      const keys = ids.filter((id) => !equal(id, own));
      if (keys.every((id) => named?.has(keyOf(id)))) return;
      await publish((await signEntry(signer, "affiliation", { version: 1, keys })).signed.bytes);
    }),
  );
}

export function publisherOf({ publish }: Ledger, signer: Signer) {
  return async (says: Omit<ModelPayload, "version">) => {
    await publish((await signEntry(signer, "model", { version: 1, ...says })).signed.bytes);
  };
}

export async function importModels(hub: Hub, folder: string): Promise<void> {
  const names = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new OperatorError(`${folder} has no models to publish: give a folder with --models`, { cause });
  });
  const sources = names.filter((name) => /^[^/\\]+[/\\]model\.json$/.test(name)).sort();
  await Promise.all(sources.map((name) => hub.importModel(join(folder, name, ".."))));
}

/** The key that an operator finds in the keys folder: made with the first account. */
export async function firstApiKey(folder: DataFolder, accounts: Accounts, now: number): Promise<string> {
  const path = folder.file("keys", "api-key");
  const known = await findSecret(path);
  if (known !== undefined && accounts.find(known, now) !== undefined) return known;
  const { apiKey } = accounts.create("operator", now);
  await keepSecret(path, apiKey);
  return apiKey;
}
