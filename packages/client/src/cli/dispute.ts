/** `tally dispute`: says in the log that an answer is not the model's, hands the opening to the referee, and shows what it finds. */
import {
  bytesOf,
  hex,
  keyOf,
  type LotOpening,
  lotOpeningFault,
  Malformed,
  type Opening,
  parseLotOpening,
  parseReceiptFile,
  tierChecks,
  type VerifiedReceipt,
  verifyReceiptFile,
} from "@tallystick/protocol";
import { createClient } from "../client.ts";
import { createHttp, fieldOf } from "../http.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";
import { openLog } from "./logs.ts";
import { findNetwork, type NetworkOptions, trustOf } from "./networks.ts";
import { findReceipt } from "./receipts.ts";
import { openOwnKey } from "./relier-key.ts";
import { EXIT, type Exit, printable, UsageError, waiting } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";
import { foldLog } from "./verify.ts";

export type DisputeArguments = NetworkOptions & {
  what: string;
  /** A file that opens the receipt; else the half that was kept, or that the receipt's file has. */
  opening?: string;
  key?: string;
  json: boolean;
};

/** How long the referee is waited for: it runs the model once. */
const DECIDED_WITHIN_MS = 180_000;
const POLL_MS = 500;

/** Verifies first: what was never in the log, or is of another call, is no matter for a referee. */
export async function dispute(args: DisputeArguments, context: Context): Promise<Exit> {
  const { what, opening: openingPath, key, json, ...options } = args;
  const { terminal, home, edges } = context;
  const { file, logKey } = await findReceipt(what, options, context);
  const verdict = await verifyReceiptFile(
    file,
    logKey === undefined ? undefined : await trustOf(logKey, context.policy),
  );
  if (verdict.outcome !== "verified") {
    terminal.err(verdictText(verdict, logKey));
    return exitOf(verdict);
  }
  const opening = await openingOf(verdict.value, parseReceiptFile(file).opening, openingPath);
  const { url } = await findNetwork(options, context);
  const signer = await openOwnKey("disputer", key ?? home.disputerKeyPath, key === undefined, terminal);
  const receiptId = hex(verdict.value.id);
  const { index, id } = await createClient({ url, edges }).dispute(receiptId, opening, signer, "disputer");
  terminal.err(`disputed, as entry ${index} of the log\n`);
  const outcome = await waiting(terminal, "waiting for the referee", decisionOf(url, receiptId, id, context));
  const shown = outcome === undefined ? undefined : await shownIn(verdict.value, id, options, context);
  terminal.out(
    json
      ? `${JSON.stringify({ receiptId, index, id, outcome: shown?.outcome ?? null, detail: shown?.detail ?? null })}\n`
      : `${printable(shown?.detail ?? `no referee has decided it yet: tally verify ${receiptId} says when one has`)}\n`,
  );
  if (shown?.outcome === "upheld") return EXIT.ok;
  return shown?.outcome === "rejected" ? EXIT.failure : EXIT.inconclusive;
}

/** The opening of both halves. Throws UsageError where it is none of this receipt. */
async function openingOf(
  { receipt, authorization }: VerifiedReceipt,
  kept: Opening | undefined,
  path: string | undefined,
): Promise<LotOpening> {
  if (authorization.request.alg === "poseidon2")
    throw new UsageError(
      "the request is committed to for a proof: no referee runs it again, tally verify holds it to its proof",
    );
  const opening = path === undefined ? halvesOf(kept) : await readOpening(path);
  if (opening === undefined)
    throw new UsageError(
      "a dispute takes the call and the answer with their salts: give --opening, a receipt's file that has them",
    );
  const fault = lotOpeningFault(receipt, authorization, opening);
  if (fault !== undefined) throw new UsageError(`nothing was signed, for this does not open the receipt: ${fault}`);
  return opening;
}

function halvesOf({ request, response }: Partial<Opening> = {}): LotOpening | undefined {
  if (request === undefined || response === undefined) return undefined;
  return { requestSalt: request.salt, call: request.bytes, responseSalt: response.salt, answer: response.bytes };
}

/** An opening from the file of a receipt, or from the map that nodes give verifiers. */
async function readOpening(path: string): Promise<LotOpening | undefined> {
  const bytes = await findFile(path);
  if (bytes === undefined) throw new UsageError(`there is no opening in ${path}`);
  try {
    return bytes[0] === 0x7b ? halvesOf(parseReceiptFile(bytes).opening) : parseLotOpening(bytes); // "{"
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new UsageError(`${path} ${cause.message}`, { cause });
  }
}

/** What the network says that a referee decided; undefined where it says nothing in time. It is a hint of when to look. */
async function decisionOf(url: string, receiptId: string, id: string, { edges }: Context): Promise<unknown> {
  const http = createHttp(url, edges);
  for (const untilMs = edges.nowMs() + DECIDED_WITHIN_MS; edges.nowMs() < untilMs; await edges.sleep(POLL_MS)) {
    const statements = fieldOf(await http.json(`/v1/verifications/${receiptId}`), "statements");
    const decided = Array.isArray(statements) && statements.find((one: unknown) => fieldOf(one, "dispute") === id);
    if (decided !== undefined && decided !== false) return decided;
  }
  return undefined;
}

/** What became of a dispute by the log itself, which is folded. */
async function shownIn(
  receipt: VerifiedReceipt,
  id: string,
  options: NetworkOptions,
  context: Context,
): Promise<{ outcome: string | null; detail: string }> {
  const folded = await foldLog(receipt, await openLog(options, context), context);
  if (typeof folded === "string") return { outcome: null, detail: folded };
  const { fold, history } = folded;
  const disputes = fold.proofs.examinations.get(keyOf(receipt.id))?.disputes ?? [];
  const at = disputes.findIndex((one) => hex(bytesOf(one.id)) === id);
  const lines = tierChecks(fold, history).filter(({ name }) => name === "dispute");
  return { outcome: disputes[at]?.outcome ?? null, detail: lines[at]?.detail ?? "the log does not have the dispute" };
}
