/** The witnesses of a network's log: its own two, others by URL, and the policy that says whose cosignatures count. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  encodeNote,
  encodeNoteKey,
  equal,
  LOGGED_POLICY_SIZE_BYTES,
  Malformed,
  NOTE_SIZE_BYTES,
  type Note,
  type NoteKey,
  type PolicyWitness,
  parseForeignCheckpoint,
  parsePolicy,
  utf8,
  verifyNote,
} from "@tallystick/protocol";
import { Hono } from "hono";
import type { KeyName } from "./keys.ts";
import type { ListedWitness } from "./log/api.ts";
import { createWitnessing, type Witnessing, type WitnessLink } from "./log/witnesses.ts";
import type { Clock } from "./platform/clock.ts";
import { OperatorError, systemCode } from "./platform/errors.ts";
import type { Report } from "./platform/http.ts";
import type { Outbound } from "./platform/outbound.ts";
import { type OpenWitness, openWitness } from "./witness/open.ts";
import { witnessRoutes } from "./witness/routes.ts";

/** How long a witness may take to answer. */
const WITNESS_MS = 1_000;
/** The witnesses that every network runs itself, by the name of their keys. */
const OWN = ["witness-1", "witness-2"] as const satisfies KeyName[];

export type WitnessingOptions = {
  /** Where its own witnesses keep what they have cosigned, each in a folder of its own. */
  folder: string;
  keyFile(name: KeyName): string;
  /** A tlog-policy that an operator gave; without one the network's own two witnesses are the quorum. */
  policyPath: string | undefined;
  /** The log's present key. One that it had before is not to be witnessed: whoever has that may not be the log. */
  logKey: NoteKey;
  /** Whether its witnesses may begin: there is no log yet, or none that they were asked about. */
  mayBegin: boolean;
  /** Whether the operator says that what its own witnesses knew is lost: those begin as others. */
  areLost: boolean;
  clock: Clock;
  report: Report;
  request: Outbound;
};

export type NetworkWitnesses = {
  witnessing: Witnessing;
  /** The policy that is logged: the log's present key, its witnesses, their quorum. */
  policyBytes: Uint8Array;
  listed: ListedWitness[];
  /** Its own witnesses over HTTP, each under its name. */
  routes: Hono;
  close(): Promise<void>;
};

export async function openWitnesses(options: WitnessingOptions): Promise<NetworkWitnesses> {
  const { logKey, clock, report } = options;
  const own = await openOwn(options);
  const close = async () => {
    for (const { witness } of own) await witness.close();
  };
  try {
    const policyBytes = await readPolicyBytes(options, own);
    const policy = parsePolicy(policyBytes);
    const asked = policy.witnesses.map((listed) => {
      const here = own.find(({ witness }) => equal(witness.key.publicKey, listed.key.publicKey));
      return { listed, here, link: here === undefined ? linkByUrl(options, listed) : linkHere(here.witness) };
    });
    const links = asked.flatMap(({ link }) => (link === undefined ? [] : [link]));
    const witnessing = createWitnessing({ policy, links, clock, timeoutMs: WITNESS_MS, report });
    const routes = new Hono();
    for (const { name, witness } of own) routes.route(`/${name}`, witnessRoutes(witness));
    const listed = asked.map(({ listed: { key, url }, here }) => ({
      name: key.name,
      vkey: encodeNoteKey(key),
      here: here !== undefined,
      ...(url === undefined ? {} : { url }),
    }));
    requireAskable(asked, logKey);
    return { witnessing, policyBytes, listed, routes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Own = { name: (typeof OWN)[number]; witness: OpenWitness };

async function openOwn({
  folder,
  keyFile,
  logKey,
  mayBegin,
  areLost,
  clock,
  report,
}: WitnessingOptions): Promise<Own[]> {
  const own: Own[] = [];
  const logs = [{ origin: logKey.name, keys: [logKey] }];
  try {
    for (const name of OWN) {
      const place = { folder: `${folder}/${name}`, keyPath: keyFile(name), name: undefined };
      own.push({ name, witness: await openWitness({ ...place, logs, mayBegin, isLost: areLost, clock, report }) });
    }
    return own;
  } catch (error) {
    for (const { witness } of own) await witness.close();
    throw error;
  }
}

/** The policy to log: what the operator gave, with the log's present key in it, or the two of this network. */
async function readPolicyBytes({ policyPath, logKey }: WitnessingOptions, own: readonly Own[]): Promise<Uint8Array> {
  const log = `log ${encodeNoteKey(logKey)}\n`;
  if (policyPath === undefined) {
    const lines = own.map(({ name, witness }) => `witness ${name} ${encodeNoteKey(witness.key)}\n`);
    return utf8(`${log}${lines.join("")}group own all ${OWN.join(" ")}\nquorum own\n`);
  }
  const given = await readFile(policyPath, "utf8").catch((cause: unknown) => {
    throw new OperatorError(`${policyPath} cannot be read (${systemCode(cause)}): give a tlog-policy with --policy`, {
      cause,
    });
  });
  // Which log it is about is known here, and its key may have changed since the file was written.
  const bytes = utf8(log + given.replace(/^[ \t]*log[ \t].*\n/gm, ""));
  try {
    parsePolicy(bytes);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`${policyPath} ${cause.message}`, { cause });
  }
  if (bytes.length <= LOGGED_POLICY_SIZE_BYTES) return bytes;
  throw new OperatorError(`${policyPath} is too long to be logged: at most ${LOGGED_POLICY_SIZE_BYTES} bytes`);
}

/** A policy whose quorum cannot be reached would leave every figure provisional for good. */
function requireAskable(
  asked: readonly { listed: PolicyWitness; link: WitnessLink | undefined }[],
  logKey: NoteKey,
): void {
  for (const { listed, link } of asked) {
    if (equal(listed.key.publicKey, logKey.publicKey))
      throw new OperatorError(
        `the policy has the log's own key as the witness ${listed.name}: a log cannot witness itself`,
      );
    if (link === undefined && listed.key.type === "cosignature")
      throw new OperatorError(`the policy has no URL for the witness ${listed.name}: say where to ask it`);
  }
}

function linkHere(witness: OpenWitness): WitnessLink {
  const checkpointOf = (note: Note | undefined) => note && parseForeignCheckpoint(utf8(encodeNote(note)));
  return {
    key: witness.key,
    async addCheckpoint(body) {
      const answer = await witness.addCheckpoint(body);
      return { status: answer.status, body: utf8(answer.body) };
    },
    latest: async (origin) => checkpointOf(witness.latest(origin)),
  };
}

/** By HTTP; undefined for a witness that cannot be asked, or whose signatures cannot be checked here. */
function linkByUrl({ request }: WitnessingOptions, { key, url }: PolicyWitness): WitnessLink | undefined {
  if (url === undefined || key.type !== "cosignature") return undefined;
  const base = url.replace(/\/+$/, "");
  const limits = { timeoutMs: WITNESS_MS, limitBytes: NOTE_SIZE_BYTES };
  return {
    key,
    addCheckpoint: (body) => request(`${base}/add-checkpoint`, { body, ...limits }),
    async latest(origin) {
      const hash = createHash("sha256").update(origin).digest("hex");
      const { status, body } = await request(`${base}/${hash}/checkpoint`, limits);
      if (status === 404) return undefined;
      if (status !== 200) throw new Error(`${base} answered with status ${status}`);
      const checkpoint = parseForeignCheckpoint(body);
      // Whoever stands between the two could else hide what the witness has seen.
      const verified = await verifyNote(checkpoint.note, [key]);
      if (verified === undefined || verified.length === 0) throw new Error(`${base} shows what its key did not cosign`);
      return checkpoint;
    },
  };
}
