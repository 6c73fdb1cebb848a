/** Verification in the network's own process: its verifier and its referee, and the doors for verifiers elsewhere. */
import { hkdfSync } from "node:crypto";
import {
  bytesOf,
  type FoldState,
  hex,
  keyId,
  keyOf,
  type LotOpening,
  type Manifest,
  type Signer,
  type Submission,
  TILE_WIDTH,
  tileWidth,
} from "@tallystick/protocol";
import type { Context, Hono } from "hono";
import type { Caller } from "./gateway/accounts.ts";
import { requireScope } from "./gateway/api-keys.ts";
import { createJudgeProcess } from "./judge-process.ts";
import type { Ledger } from "./ledger.ts";
import type { OpeningAccess } from "./node/opening-access.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import type { Database } from "./platform/database.ts";
import { ServiceError } from "./platform/errors.ts";
import type { Report } from "./platform/http.ts";
import { signRequest } from "./platform/http-signature.ts";
import type { Random } from "./platform/random.ts";
import { sameSecret } from "./platform/secrets.ts";
import { proofRoutes } from "./proof-routes.ts";
import type { Proofs } from "./proofs.ts";
import type { Serving } from "./serving.ts";
import { createArchive } from "./verifier/archive-store.ts";
import { createChecks } from "./verifier/checks.ts";
import { createDesk, type Desk } from "./verifier/desk.ts";
import { forgetDecided, lotsOf, openDisputes } from "./verifier/lots.ts";
import { readOpening } from "./verifier/openings.ts";
import { createProofCheck } from "./verifier/proof-check.ts";
import { createReferee, type Referee } from "./verifier/referee.ts";
import { verificationRoutes } from "./verifier/routes.ts";
import { createVerifier, VERIFIER_LIMITS, type Verifier, type VerifierLimits } from "./verifier/service.ts";
import { createStatements, type Statements } from "./verifier/statements.ts";

/** The keys of the verifier and the referee of this process. */
export type VerifyingKeys = { verifier: Signer; referee: Signer };

export type VerifyingParts = {
  database: Database.Database;
  ledger: Ledger;
  gateway: Signer;
  /** None where verification is left to others. */
  keys: VerifyingKeys | undefined;
  limits: Partial<VerifierLimits> | undefined;
  /** Where the verifier's chain is kept, and where models' files lie by digest. */
  chainPath: string;
  artifacts: string;
  files(manifest: Manifest): Promise<ReadonlyMap<string, Uint8Array>>;
  serving: Pick<Serving, "admission" | "findNode">;
  /** The openings of the node in this process, and the id of its key. */
  own: { id: Uint8Array; access: OpeningAccess };
  sealingKey: Uint8Array;
  verifierToken: string | undefined;
  authenticate(header: string | undefined): Caller;
  /** What its node proves; lacks where it does not. */
  proofs: Proofs | undefined;
  clock: Clock;
  random: Random;
  report: Report;
};

export type Verifying = {
  routes: Hono;
  /** Resolves once the verifier and the referee have nothing to do at once. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

type Role = Pick<Verifier | Referee, "wake" | "idle" | "close">;

export async function openVerifying(parts: VerifyingParts): Promise<Verifying> {
  const { ledger, gateway, clock, random, keys, serving } = parts;
  const { fold, log, publish } = ledger;
  const sealingKey = deriveKey(parts.sealingKey, "openings that came with disputes");
  const archive = createArchive({ database: parts.database, sealingKey, random });
  const readEntry = (index: number) => log.tree.readEntry(index);
  const receiptOf = (dispute: Uint8Array) => receiptOfDispute(fold, dispute);
  const statements = createStatements({ archive, readEntry, receiptOf });
  await catchUp(ledger, statements, archive.notedSize);
  archive.note([], log.head.size);
  forgetDecided(fold, archive);
  const checks = createChecks(clock);
  const { submit: submitEntry, submitOpened } = serving.admission;
  const desk = createDesk({ fold, archive, readEntry, submit: submitEntry, submitOpened });
  const closers: (() => Promise<void>)[] = [];
  const roles: Role[] = [];
  const wake = () => {
    for (const role of roles) role.wake();
  };

  function judge() {
    const { artifacts: folder, files: prepare, report } = parts;
    const process = createJudgeProcess({ folder, prepare, report });
    closers.push(process.close);
    return process;
  }

  const common = { fold, clock, readEntry, report: parts.report };
  if (keys !== undefined) {
    const limits = { ...VERIFIER_LIMITS, ...parts.limits };
    const { verifier, referee } = keys;
    const ask = (signer: Signer) => (asked: Asked) => askOpening(parts, signer, asked);
    const own = keyId(verifier.spki);
    const submit = submitting(desk, wake);
    roles.push(
      createVerifier({
        ...{ ...common, signer: verifier, random, limits, chainPath: parts.chainPath, submit, judge: judge() },
        lots: lotsOf(fold, own),
        takeChecks: async () => checks.take(own),
        askOpening: ask(verifier),
      }),
      createReferee({
        ...{ ...common, signer: referee, submit, judge: judge(), ...limits },
        disputes: () => openDisputes(fold),
        findOpening: archive.findOpening,
        forgetOpening: archive.forgetOpening,
        askOpening: ask(referee),
      }),
    );
  }
  if (keys !== undefined && parts.proofs !== undefined) {
    const { verify, find, listUnchecked, noteChecked, follow } = parts.proofs;
    const check = createProofCheck({
      ...{ ...common, signer: keys.verifier, files: parts.files, submit: desk.take },
      ...{ verify, find, listUnchecked, noteChecked },
    });
    follow(check.wake);
    roles.push(check);
  }
  log.follow((entries, head) => {
    statements.follow(entries, head.size - entries.length);
    wake();
  });
  wake();

  const { verifierToken } = parts;
  const routes = verificationRoutes({
    ...{ fold, clock, id: keyId(gateway.spki), archive, statements, checks, desk, publish, wake },
    isVerifier: (header) => verifierToken !== undefined && sameSecret(header, `Bearer ${verifierToken}`),
    payerOf: (c) => payerOf(parts, c),
    sign: gateway.sign,
  });

  routes.route("/", proofRoutes({ fold, proofs: parts.proofs, payerOf: (c) => payerOf(parts, c) }));

  return {
    routes,

    async idle() {
      for (let size = -1; size !== log.head.size; ) {
        ({ size } = log.head);
        await log.flush();
        await parts.proofs?.idle();
        for (const role of roles) await role.idle();
      }
    },

    async close() {
      const closing = roles.map((role) => role.close());
      for (const closer of closers.splice(0)) await closer(); // Else a role would wait for what its judge is in the middle of.
      await Promise.all(closing);
      archive.note([], fold.size);
    },
  };
}

/** A key for one purpose, from the network's sealing key. */
export function deriveKey(sealingKey: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", sealingKey, new Uint8Array(0), `tallystick ${purpose}`, 32));
}

/** Gets a statement of a role of this process into the log. */
function submitting(desk: Desk, wake: () => void) {
  return async (statement: Submission): Promise<void> => {
    await (statement.opening === undefined ? desk.take(statement) : desk.dispute(statement));
    if (statement.opening !== undefined) wake();
  };
}

type Asked = { receipt: Uint8Array; node: Uint8Array; check?: Uint8Array };

/** An opening from the node that signed the receipt: the one in this process, or one elsewhere. */
async function askOpening(parts: VerifyingParts, signer: Signer, asked: Asked): Promise<LotOpening | undefined> {
  const { own, serving, clock } = parts;
  const { receipt, node, check } = asked;
  if (hex(node) === hex(own.id))
    return own.access.open(keyId(signer.spki), receipt, check).catch((error: unknown) => {
      if (error instanceof ServiceError) return undefined;
      throw error;
    });
  const path = `/v1/receipts/${hex(receipt)}/opening/lot`;
  const signed = { method: "GET", path, body: new Uint8Array(0), to: node, nowSeconds: nowSeconds(clock) };
  const headers = await signRequest(signer, signed);
  if (check !== undefined) headers["tallystick-check"] = Buffer.from(check).toString("base64");
  const answer = await serving.findNode(hex(node))?.remote.askOpening(path, headers);
  return answer?.status === 200 ? readOpening(answer.body) : undefined;
}

function payerOf({ authenticate }: VerifyingParts, c: Context): string {
  const { payerTag, key } = authenticate(c.req.header("authorization"));
  requireScope(key, "read");
  return payerTag;
}

function receiptOfDispute({ proofs }: FoldState, dispute: Uint8Array): Uint8Array | undefined {
  const known = proofs.disputes.get(keyOf(dispute));
  return known && bytesOf(known.receipt);
}

/** Goes through what the log got while nobody followed it. */
async function catchUp({ log }: Ledger, statements: Statements, from: number): Promise<void> {
  const { size } = log.head;
  for (let index = Math.min(from, size); index < size; index = nextBundle(index)) {
    const bundle = Math.floor(index / TILE_WIDTH);
    const entries = await log.tree.readCheckedBundle(bundle, tileWidth("entries", bundle, size));
    statements.follow(entries.slice(index % TILE_WIDTH), index);
  }
}

const nextBundle = (index: number) => (Math.floor(index / TILE_WIDTH) + 1) * TILE_WIDTH;
