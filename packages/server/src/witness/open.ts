/** A witness on disk: its store in a folder, its key in a file that may lie elsewhere. */
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import {
  cosignatureMessage,
  createNoteKey,
  encodeCosignature,
  hex,
  Malformed,
  type NoteKey,
  sha256,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { OperatorError, systemCode } from "../platform/errors.ts";
import { makeFolder } from "../platform/files.ts";
import type { Report } from "../platform/http.ts";
import { type NoteSigner, openNoteSigner } from "../platform/keys.ts";
import { type Cosigner, createWitness, type Witness } from "./service.ts";
import { createStore, isNewStore } from "./store.ts";

/** The store, whose lock keeps a second process out of the folder. */
const STORE = "witness.sqlite";

/** A log that is witnessed: the first line of its checkpoints, and the keys that may sign them. */
export type LogToWitness = { origin: string; keys: NoteKey[] };

export type OpenWitnessOptions = {
  folder: string;
  /** The Ed25519 key, which signs cosignatures and nothing else; made when the store is. */
  keyPath: string;
  /** That the key is there before the store, and has never cosigned anything. */
  isKeyUnused?: boolean;
  /** The name of its key; undefined for one that follows from the key. */
  name: string | undefined;
  logs: readonly LogToWitness[];
  /** Whether it may be its first start, which a crash may have cut short anywhere. */
  mayBegin?: boolean;
  /** Whether its operator says that its store is lost: then its key is set aside, and it begins as another witness. */
  isLost?: boolean;
  clock: Clock;
  report: Report;
};

export type OpenWitness = Witness & { close(): Promise<void> };

/** Opens the witness whose state is in `folder`, or makes a new one there. Throws an OperatorError where it cannot. */
export async function openWitness({
  folder,
  keyPath,
  isKeyUnused = false,
  name,
  logs,
  mayBegin = false,
  isLost = false,
  clock,
  report,
}: OpenWitnessOptions): Promise<OpenWitness> {
  await makeFolder(folder).catch((cause: unknown) => {
    if (systemCode(cause) !== "EEXIST" && systemCode(cause) !== "ENOTDIR") throw cause;
    throw new OperatorError(`${folder} is a file: give a folder with --data`, { cause });
  });
  const path = join(folder, STORE);
  const database = openDatabase(path, "FULL");
  try {
    if (isLost && isNewStore(database) && existsSync(keyPath)) await setAside(keyPath);
    if (!mayBegin) requireMemory({ path, isNew: isNewStore(database) }, { path: keyPath, isUnused: isKeyUnused });
    const store = createStore(database); // Before the key, which is then never without a store.
    const cosigner = await openCosigner(keyPath, name);
    const witness = createWitness({ store, cosigner, clock, report });
    for (const { origin, keys } of logs) {
      store.find(origin); // A row that is damaged is told now.
      witness.setLog(origin, keys);
    }
    const close = async () => {
      await witness.close();
      closeDatabase(database);
    };
    return { ...witness, close };
  } catch (error) {
    closeDatabase(database);
    throw error;
  }
}

/** Renames a key that must not sign any more. */
async function setAside(keyPath: string): Promise<void> {
  let count = 1;
  while (existsSync(`${keyPath}.lost-${count}`)) count++;
  await rename(keyPath, `${keyPath}.lost-${count}`);
}

/** The key of the cosignatures of a witness whose private key is in `path`, which is made where it is not there. */
export async function openWitnessKey(path: string, name?: string): Promise<NoteKey> {
  return (await openCosigner(path, name)).key;
}

/** A witness that has forgotten what it cosigned would cosign whatever it is shown first, a fork of that too. */
function requireMemory(store: { path: string; isNew: boolean }, key: { path: string; isUnused: boolean }): void {
  if (!store.isNew && key.isUnused)
    throw new OperatorError(`${store.path} is there, so the key may have cosigned: leave --unused-key out`);
  if (store.isNew && !key.isUnused && existsSync(key.path))
    throw new OperatorError(
      `${key.path} is there and ${store.path} holds nothing, so the witness could cosign a fork of what it cosigned before: restore the store, or remove the key to have another made. A key that never cosigned anything is taken with --unused-key`,
    );
}

async function openCosigner(path: string, name: string | undefined): Promise<Cosigner> {
  const nameOf = (publicKey: Uint8Array) => name ?? `tallystick.local/witness-${hex(sha256(publicKey)).slice(0, 16)}`;
  try {
    return createCosigner(await openNoteSigner(path, nameOf));
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`the witness's name ${cause.message}`, { cause });
  }
}

/** Of what `signer` could sign, cosignatures alone. */
function createCosigner({ key: { name, publicKey }, sign }: NoteSigner): Cosigner {
  const key = createNoteKey(name, "cosignature", publicKey);
  return {
    key,
    cosign: (text, timeSeconds) => ({
      name,
      id: key.id,
      signature: encodeCosignature(timeSeconds, sign(cosignatureMessage(timeSeconds, text))),
    }),
  };
}
