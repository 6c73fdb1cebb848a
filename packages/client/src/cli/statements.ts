/** `tally reverse`, `affiliate`, `resolve` and `dispute --label`: short statements that are signed and logged. */
import { hex, keyId, parseReceiptFile, type ResolutionPayload } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import type { Logged } from "../statements.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { findReceipt } from "./receipts.ts";
import { openKeyFile, openOwnKey } from "./relier-key.ts";
import { EXIT, type Exit, printable, UsageError } from "./terminal.ts";

const ID = /^[0-9a-f]{64}$/;
const OUTCOMES: readonly string[] = ["upheld", "rejected", "undecided"] satisfies ResolutionPayload["outcome"][];

type Signing = NetworkOptions & { key?: string; json: boolean };

/** Takes back what the relier's key said of the decision that a receipt is of. */
export async function reverse(
  { what, key, json, ...options }: Signing & { what: string },
  context: Context,
): Promise<Exit> {
  const signer = await openOwnKey("relier", key ?? context.home.relierKeyPath, false, context.terminal);
  const { receiptId, url } = await named(what, options, context);
  const logged = await createClient({ url, edges: context.edges }).reverse(receiptId, signer);
  return said(context, json, { receiptId, ...logged }, "taken back", "you took it back before");
}

/** Says that keys are of one owner with the one that signs. */
export async function affiliate(
  { keyIds, key, json, ...options }: Signing & { keyIds: readonly string[] },
  context: Context,
): Promise<Exit> {
  if (key === undefined) throw new UsageError("affiliate needs the key that signs: --key FILE");
  for (const id of keyIds)
    if (!ID.test(id)) throw new UsageError(`${printable(id)} is not a key's id: 64 digits of lower-case hex`);
  const signer = await openKeyFile(key);
  const { url } = await findNetwork(options, context);
  const logged = await createClient({ url, edges: context.edges }).affiliate(keyIds, signer);
  const own = hex(keyId(signer.spki));
  const done = said(context, json, { key: own, ...logged }, "declared", "declared before");
  if (!json) context.terminal.out(`it holds for each key that names this one as well: ${own}\n`);
  return done;
}

/** Says that the reason for which a receipt is not counted as organic is wrong. */
export async function disputeLabel(
  { what, evidence, key, json, ...options }: Signing & { what: string; evidence?: string },
  context: Context,
): Promise<Exit> {
  const because = await readEvidence(evidence);
  const { terminal, home, edges } = context;
  const { receiptId, url } = await named(what, options, context);
  const signer = await openOwnKey("disputer", key ?? home.disputerKeyPath, key === undefined, terminal);
  const { id, ...logged } = await createClient({ url, edges }).disputeLabel(receiptId, because, signer, "disputer");
  return said(
    context,
    json,
    { receiptId, id, ...logged },
    `disputed, as ${id}: send the evidence to the referee`,
    "disputed before",
  );
}

/** Says as the referee what came of a dispute. */
export async function resolve(
  {
    dispute,
    outcome,
    evidence,
    key,
    json,
    ...options
  }: Signing & { dispute: string; outcome: string; evidence?: string },
  context: Context,
): Promise<Exit> {
  if (key === undefined) throw new UsageError("resolve needs the referee's key: --key FILE");
  if (!ID.test(dispute))
    throw new UsageError(`${printable(dispute)} is not a dispute's id: 64 digits of lower-case hex`);
  if (!isOutcome(outcome)) throw new UsageError(`a dispute is ${OUTCOMES.join(", ")}: not ${printable(outcome)}`);
  const because = await readEvidence(evidence);
  const signer = await openKeyFile(key);
  const { url } = await findNetwork(options, context);
  const logged = await createClient({ url, edges: context.edges }).resolve(dispute, outcome, because, signer);
  return said(context, json, { id: dispute, outcome, ...logged }, outcome, outcome);
}

function isOutcome(text: string): text is ResolutionPayload["outcome"] {
  return OUTCOMES.includes(text);
}

/** A receipt's id, and the network whose log it is in. */
async function named(
  what: string,
  options: NetworkOptions,
  context: Context,
): Promise<{ receiptId: string; url: string }> {
  const { url } = await findNetwork(options, context);
  if (ID.test(what)) return { receiptId: what, url };
  return { receiptId: hex(parseReceiptFile((await findReceipt(what, options, context)).file).id), url };
}

async function readEvidence(path: string | undefined): Promise<Uint8Array> {
  if (path === undefined) throw new UsageError("say why in a file, whose SHA-256 alone is logged: --evidence FILE");
  const bytes = await findFile(path);
  if (bytes === undefined) throw new UsageError(`there is no evidence in ${path}`);
  return bytes;
}

function said(
  { terminal }: Context,
  json: boolean,
  fields: Logged & Record<string, unknown>,
  now: string,
  before: string,
): Exit {
  const { index, alreadyLogged } = fields;
  const line = alreadyLogged ? `${before}: entry ${index}` : `${now} (entry ${index} of the log)`;
  terminal.out(json ? `${JSON.stringify(fields)}\n` : `${printable(line)}\n`);
  return EXIT.ok;
}
