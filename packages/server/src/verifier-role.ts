/** A verifier on a machine of its own: data folder → key → log → let in by the operator → what the lots give it. */
import { join } from "node:path";
import { fetchSource, systemEdges } from "@tallystick/client";
import {
  base64,
  encodeSubmission,
  hex,
  keyId,
  keyOf,
  LOT_OPENING_SIZE_BYTES,
  type LogTrust,
  type Signer,
  type Submission,
  signEntry,
  utf8,
} from "@tallystick/protocol";
import { createJudgeProcess } from "./judge-process.ts";
import { openArtifacts } from "./node/artifacts.ts";
import { type NodeLog, openNodeLog } from "./node-log.ts";
import { fetchArtifact, readGatewayId } from "./node-role.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { closeDatabase, openDatabase } from "./platform/database.ts";
import { OperatorError } from "./platform/errors.ts";
import { makeFolder } from "./platform/files.ts";
import type { Report } from "./platform/http.ts";
import { signRequest } from "./platform/http-signature.ts";
import { openSigner } from "./platform/keys.ts";
import { openPeer, type Peer, type PeerAnswer, readAll } from "./platform/peer.ts";
import type { Random } from "./platform/random.ts";
import { indexIn, parseChecks, refusalIn } from "./verifier/answers.ts";
import { lotsOf } from "./verifier/lots.ts";
import { readOpening } from "./verifier/openings.ts";
import { type Check, createVerifier, VERIFIER_LIMITS, type VerifierLimits } from "./verifier/service.ts";

export type VerifierRoleOptions = {
  /** The network's address, the token that its operator lets verifiers in by, and its log. */
  gateway: string;
  token: string;
  trust: LogTrust;
  data: string;
  keyPath: string;
  name: string | undefined;
  /** Models' files that are kept. */
  keptBytes: number;
  limits?: Partial<VerifierLimits>;
  clock: Clock;
  random: Random;
  report: Report;
  /** How often the log is looked at, and how often it is asked whether somebody wants a check. */
  logIntervalMs: number;
  checkIntervalMs: number;
};

export type VerifierRole = {
  id: string;
  name: string;
  /** Has the network take its key in, and begins. Throws an OperatorError where it may not. */
  start(): Promise<void>;
  /** Resolves once nothing is to be done at once. */
  idle(): Promise<void>;
  /** Resolves with why, once the log is not to be believed any more. */
  broken: Promise<OperatorError>;
  close(): Promise<void>;
};

const ANSWER_MS = 30_000;
const FETCH_MS = 120_000;
/** How long the log has to publish what it took in. */
const FOLDED_MS = 30_000;
/** Checks that are asked for come with their openings. */
const CHECKS_SIZE_BYTES = 16 * 1024 * 1024;

export async function openVerifierRole(options: VerifierRoleOptions): Promise<VerifierRole> {
  const { data, clock, random, report, trust, gateway } = options;
  await makeFolder(data);
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const database = openDatabase(join(data, "verifier.sqlite")); // For its lock: two would reveal one chain.
    closers.push(() => closeDatabase(database));
    const signer = await openSigner(options.keyPath);
    const id = keyId(signer.spki);
    const name = options.name ?? `verifier-${hex(id).slice(0, 8)}`;
    const peer = openPeer(gateway);
    closers.push(peer.close);
    const { fetch: ask } = systemEdges;
    const source = fetchSource(gateway, {
      fetch: (url, init) => ask(url, { ...init, signal: AbortSignal.timeout(FETCH_MS) }),
    });
    const folder = join(data, "log");
    const log = await openNodeLog({ source, trust, folder, intervalMs: options.logIntervalMs, report });
    closers.push(log.close);
    const artifacts = await openArtifacts({
      ...{ folder: join(data, "artifacts"), clock, keptBytes: options.keptBytes },
      fetchArtifact: (digest, sizeBytes) => fetchArtifact(gateway, digest, sizeBytes),
    });
    const asking = { peer, signer, clock, gatewayId: await readGatewayId(gateway, trust) };
    const judge = createJudgeProcess({ folder: join(data, "artifacts"), prepare: artifacts.files, report });
    const verifier = createVerifier({
      ...{ signer, fold: log.fold, clock, random, report, judge, lots: lotsOf(log.fold, id) },
      limits: { ...VERIFIER_LIMITS, ...options.limits },
      chainPath: join(data, "chain"),
      readEntry: log.readEntry,
      askOpening: (ask) => askOpening(asking, ask),
      takeChecks: () => takeChecks(asking).catch(() => []), // It is asked again in a moment.
      submit: (statement) => submit(asking, log, statement),
    });
    closers.push(async () => {
      const closing = verifier.close();
      await judge.close(); // Else it would be waited for in the middle of a check.
      await closing;
    });
    let timer: NodeJS.Timeout | undefined;
    closers.push(() => clearInterval(timer));

    return {
      id: hex(id),
      name,
      broken: log.broken,
      idle: verifier.idle,
      close,

      async start() {
        await register(asking, options.token, name);
        await log.readOn(() => log.fold.keys.has(keyOf(id)), FOLDED_MS);
        log.follow(verifier.wake);
        timer = setInterval(verifier.wake, options.checkIntervalMs);
        verifier.wake();
      },
    };
  } catch (error) {
    await close().catch(() => {}); // What went wrong first is what the operator is told.
    throw error;
  }
}

type Asking = { peer: Peer; signer: Signer; clock: Clock; gatewayId: Uint8Array };

async function register({ peer, signer, clock, gatewayId }: Asking, token: string, name: string): Promise<void> {
  const says = { version: 1, action: "enrol", role: "verifier", spki: signer.spki, name } as const;
  const { signed } = await signEntry(signer, "key", says);
  const body = utf8(JSON.stringify({ enrolment: base64(signed.bytes) }));
  const path = "/v1/verifiers/register";
  const asked = { method: "POST", path, body, to: gatewayId, nowSeconds: nowSeconds(clock) };
  const headers = {
    ...(await signRequest(signer, asked)),
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    "tallystick-key": base64(signer.spki),
  };
  const answer = await peer.post({ path, headers, body, timeoutMs: ANSWER_MS });
  const text = await textOf(answer);
  if (answer.status === 200) return;
  const cause = refusalIn(answer.status, text);
  throw new OperatorError(`the network does not take this verifier in: ${cause.message}`, { cause });
}

/** A GET that this verifier's key signs, for the role with the key `to`. */
async function getSigned({ peer, signer, clock }: Asking, path: string, to: Uint8Array, check?: Uint8Array) {
  const asked = { method: "GET", path, body: new Uint8Array(0), to, nowSeconds: nowSeconds(clock) };
  const headers = await signRequest(signer, asked);
  if (check !== undefined) headers["tallystick-check"] = base64(check);
  return peer.get({ path, headers, timeoutMs: ANSWER_MS });
}

async function askOpening(asking: Asking, ask: { receipt: Uint8Array; node: Uint8Array; check?: Uint8Array }) {
  const path = `/v1/receipts/${hex(ask.receipt)}/opening/lot`;
  const answer = await getSigned(asking, path, ask.node, ask.check);
  const body = await readAll(answer, LOT_OPENING_SIZE_BYTES);
  return answer.status === 200 ? readOpening(body) : undefined;
}

async function takeChecks(asking: Asking): Promise<Check[]> {
  const answer = await getSigned(asking, "/v1/checks", asking.gatewayId);
  const text = await textOf(answer, CHECKS_SIZE_BYTES);
  return answer.status === 200 ? parseChecks(text) : [];
}

/** Gets a statement into the log, and into the fold here. */
async function submit({ peer }: Asking, log: NodeLog, statement: Submission): Promise<void> {
  const path = statement.opening === undefined ? "/v1/verifications" : "/v1/disputes";
  const headers = { "content-type": "application/cbor" };
  const answer = await peer.post({ path, headers, body: encodeSubmission(statement), timeoutMs: ANSWER_MS });
  const text = await textOf(answer);
  if (answer.status !== 200) throw refusalIn(answer.status, text);
  const index = indexIn(text);
  if (index === undefined) throw new Error("the log's answer has no index");
  await log.readOn(() => log.fold.size > index, FOLDED_MS);
}

async function textOf(answer: PeerAnswer, limitBytes = 65_536): Promise<string> {
  return new TextDecoder().decode(await readAll(answer, limitBytes));
}
