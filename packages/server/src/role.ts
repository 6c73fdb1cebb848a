/** What every role on a machine of its own has: its folder and its key, the log, models' files, and its gateway's ear. */
import { join } from "node:path";
import { fetchSource, systemEdges } from "@tallystick/client";
import { hex, keyId, type LogTrust, type Signer, signEntry } from "@tallystick/protocol";
import { FETCH_MS, fetchArtifact, type GatewayPeer, openGatewayPeer, readGatewayId } from "./gateway-peer.ts";
import { type Artifacts, openArtifacts } from "./node/artifacts.ts";
import { type NodeLog, openNodeLog } from "./node-log.ts";
import type { Clock } from "./platform/clock.ts";
import type { Closer } from "./platform/closing.ts";
import { closeDatabase, openDatabase } from "./platform/database.ts";
import { makeFolder } from "./platform/files.ts";
import type { Report } from "./platform/http.ts";
import { openSigner } from "./platform/keys.ts";
import type { Random } from "./platform/random.ts";

export type RoleOptions = {
  /** The network's address, the token that its operator lets the role in by, and its log. */
  gateway: string;
  token: string;
  trust: LogTrust;
  data: string;
  keyPath: string;
  name: string | undefined;
  /** Models' files that are kept. */
  keptBytes: number;
  clock: Clock;
  random: Random;
  report: Report;
  /** How often the log is looked at. */
  logIntervalMs: number;
};

export type Role = {
  /** The id of its key, the name that it enrols under, and the entry by which it does. */
  id: Uint8Array;
  name: string;
  enrolment: Uint8Array;
  signer: Signer;
  gateway: GatewayPeer;
  log: NodeLog;
  artifacts: Artifacts;
};

/** Opens it, the gateway with `timeoutMs` for each answer. Throws an OperatorError where it cannot. */
export async function openRole(
  role: "node" | "verifier",
  options: RoleOptions,
  { timeoutMs, closers }: { timeoutMs: number; closers: Closer[] },
): Promise<Role> {
  const { data, clock, report, trust, gateway: url, token } = options;
  await makeFolder(data);
  const database = openDatabase(join(data, `${role}.sqlite`)); // For its lock: two would sign under one key.
  closers.push(() => closeDatabase(database));
  const signer = await openSigner(options.keyPath);
  const id = keyId(signer.spki);
  const name = options.name ?? `${role}-${hex(id).slice(0, 8)}`;
  const { fetch: ask } = systemEdges;
  const source = fetchSource(url, {
    fetch: (path, init) => ask(path, { ...init, signal: AbortSignal.timeout(FETCH_MS) }),
  });
  const log = await openNodeLog({
    source,
    trust,
    report,
    folder: join(data, "log"),
    intervalMs: options.logIntervalMs,
  });
  closers.push(log.close);
  const artifacts = await openArtifacts({
    ...{ folder: join(data, "artifacts"), clock, keptBytes: options.keptBytes },
    fetchArtifact: (digest, sizeBytes) => fetchArtifact(url, digest, sizeBytes),
  });
  const gateway = openGatewayPeer({ url, id: await readGatewayId(url, trust), token, signer, clock, timeoutMs });
  closers.push(gateway.close);
  const says = { version: 1, action: "enrol", role, spki: signer.spki, name } as const;
  const enrolment = (await signEntry(signer, "key", says)).signed.bytes;
  return { id, name, enrolment, signer, gateway, log, artifacts };
}
