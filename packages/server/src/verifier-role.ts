/** A verifier on a machine of its own: data folder → key → log → let in by the operator → what the lots give it. */
import { join } from "node:path";
import {
  base64,
  encodeSubmission,
  hex,
  keyOf,
  LOT_OPENING_SIZE_BYTES,
  type Submission,
  utf8,
} from "@tallystick/protocol";
import { type GatewayPeer, textOf } from "./gateway-peer.ts";
import { createJudgeProcess } from "./judge-process.ts";
import type { NodeLog } from "./node-log.ts";
import { closeAll, openAll } from "./platform/closing.ts";
import { OperatorError } from "./platform/errors.ts";
import { readAll } from "./platform/peer.ts";
import { openRole, type RoleOptions } from "./role.ts";
import { indexIn, parseChecks, refusalIn } from "./verifier/answers.ts";
import { lotsOf } from "./verifier/lots.ts";
import { readOpening } from "./verifier/openings.ts";
import { type Check, createVerifier, VERIFIER_LIMITS, type VerifierLimits } from "./verifier/service.ts";

export type VerifierRoleOptions = RoleOptions & {
  limits?: Partial<VerifierLimits>;
  /** How often the network is asked whether somebody wants a check. */
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
/** How long the log has to publish what it took in. */
const FOLDED_MS = 30_000;
/** Checks that are asked for come with their openings. */
const CHECKS_SIZE_BYTES = 16 * 1024 * 1024;

export async function openVerifierRole(options: VerifierRoleOptions): Promise<VerifierRole> {
  const { data, clock, random, report } = options;
  return openAll(async (closers) => {
    const role = await openRole("verifier", options, { timeoutMs: ANSWER_MS, closers });
    const { id, name, signer, gateway, log, artifacts } = role;
    const judge = createJudgeProcess({ folder: join(data, "artifacts"), prepare: artifacts.files, report });
    const verifier = createVerifier({
      ...{ signer, fold: log.fold, clock, random, report, judge, lots: lotsOf(log.fold, id) },
      limits: { ...VERIFIER_LIMITS, ...options.limits },
      chainPath: join(data, "chain"),
      readEntry: log.readEntry,
      askOpening: (ask) => askOpening(gateway, ask),
      takeChecks: () => takeChecks(gateway).catch(() => []), // It is asked again in a moment.
      submit: (statement) => submit(gateway, log, statement),
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
      close: () => closeAll(closers),

      async start() {
        await register(gateway, role.enrolment);
        await log.readOn(() => log.fold.keys.has(keyOf(id)), FOLDED_MS);
        log.follow(verifier.wake);
        timer = setInterval(verifier.wake, options.checkIntervalMs);
        verifier.wake();
      },
    };
  });
}

async function register(gateway: GatewayPeer, enrolment: Uint8Array): Promise<void> {
  const body = utf8(JSON.stringify({ enrolment: base64(enrolment) }));
  const { status, text } = await gateway.post("/v1/verifiers/register", body, "application/json");
  if (status === 200) return;
  const cause = refusalIn(status, text);
  throw new OperatorError(`the network does not take this verifier in: ${cause.message}`, { cause });
}

type Asked = { receipt: Uint8Array; node: Uint8Array; check?: Uint8Array };

async function askOpening(gateway: GatewayPeer, { receipt, node, check }: Asked) {
  const path = `/v1/receipts/${hex(receipt)}/opening/lot`;
  const answer = await gateway.get(path, node, check);
  const body = await readAll(answer, LOT_OPENING_SIZE_BYTES);
  return answer.status === 200 ? readOpening(body) : undefined;
}

async function takeChecks(gateway: GatewayPeer): Promise<Check[]> {
  const answer = await gateway.get("/v1/checks");
  const text = await textOf(answer, CHECKS_SIZE_BYTES);
  return answer.status === 200 ? parseChecks(text) : [];
}

/** Gets a statement into the log, and into the fold here. */
async function submit(gateway: GatewayPeer, log: NodeLog, statement: Submission): Promise<void> {
  const path = statement.opening === undefined ? "/v1/verifications" : "/v1/disputes";
  const { status, text } = await gateway.submit(path, encodeSubmission(statement), "application/cbor");
  if (status !== 200) throw refusalIn(status, text);
  const index = indexIn(text);
  await log.readOn(() => log.fold.size > index, FOLDED_MS);
}
