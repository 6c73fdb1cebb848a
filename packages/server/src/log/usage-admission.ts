/** What anybody may append of use, and under which conditions: who they are, what they rely on, and what they say of the figures. */
import {
  AFFILIATED_KEYS_IN_ALL,
  type Entry,
  type EntryOf,
  type FoldState,
  hex,
  isOperator,
  keyId,
  keyOf,
  OPEN_ROLES,
  type UsedReceipt,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";

/** What a statement is called, and its index where the log has it. */
export type Named = { name: string; index?: number };

/** Throws where a stranger may not say it. Its signature was checked. */
export function checkUsage(fold: FoldState, entry: Entry): Named {
  switch (entry.kind) {
    case "key":
      return checkEnrolment(fold, entry);
    case "acknowledgement":
      return checkAcknowledgement(fold, entry);
    case "reliance":
      return checkReliance(fold, entry);
    case "reversal":
      return checkReversal(fold, entry);
    case "affiliation":
      return checkAffiliation(fold, entry);
    case "recomputation":
      return checkRecomputation(fold, entry);
  }
  throw new ServiceError("forbidden", `a ${entry.kind} entry comes from the network's own roles alone`);
}

function checkEnrolment(fold: FoldState, { says }: EntryOf<"key">): Named {
  if (says.action !== "enrol" || !OPEN_ROLES.has(says.role))
    throw new ServiceError("forbidden", "only reliers, disputers and auditors enrol their keys here");
  const kid = keyOf(keyId(says.spki));
  const known = fold.keys.get(kid);
  if (isOperator(fold, kid))
    throw new ServiceError(
      "forbidden",
      `this key is the network's ${known?.role} key: an operator cannot rely on what it sells, nor dispute or audit it`,
    );
  if (says.domain !== undefined && says.role !== "relier")
    throw new ServiceError("forbidden", `a ${says.role} enrols without a domain: only a relier's key is bound to one`);
  const name = `key ${hex(keyId(says.spki))}`;
  return known === undefined ? { name } : { name, index: known.index };
}

function checkAcknowledgement(fold: FoldState, { says }: EntryOf<"acknowledgement">): Named {
  const receipt = getValidReceipt(fold, says.receipt);
  const name = `acknowledgement ${hex(says.receipt)}`;
  return receipt.acknowledged ? { name, index: receipt.index } : { name };
}

function checkReliance(fold: FoldState, { says, signed }: EntryOf<"reliance">): Named {
  if (says.class !== undefined && says.class !== "stated")
    throw new ServiceError(
      "forbidden",
      `nothing here shows that a contract ${says.class} it: no contract of this log exists yet, so say "stated" or no class`,
    );
  const receipt = getValidReceipt(fold, says.receipt);
  const session = fold.sessions.get(receipt.session);
  if (session !== undefined && session.sessionKeyId === keyOf(signed.keyId))
    throw new ServiceError("forbidden", "a session key asks; it cannot also rely. Enrol a key of your own");
  const statement = keyOf(signed.keyId) + receipt.decision;
  const [said] = fold.demand.relied.get(statement) ?? [];
  if (said?.reversedAt !== undefined)
    throw new ServiceError(
      "conflict",
      `this key took back its reliance on that decision, in entry ${said.reversedAt}: that is for good`,
    );
  return said === undefined ? { name: `reliance ${statement}` } : { name: statement, index: said.index };
}

function checkReversal(fold: FoldState, { says, signed }: EntryOf<"reversal">): Named {
  const statement = keyOf(signed.keyId) + getReceipt(fold, says.receipt).decision;
  const [said] = fold.demand.relied.get(statement) ?? [];
  if (said === undefined)
    throw new ServiceError("conflict", `this key does not rely on the decision of ${hex(says.receipt)}`);
  const name = `reversal ${statement}`;
  return said.reversedAt === undefined ? { name } : { name, index: said.reversedAt };
}

function checkAffiliation(fold: FoldState, { says, signed }: EntryOf<"affiliation">): Named {
  const named = fold.demand.affiliations.get(keyOf(signed.keyId));
  if (says.keys.every((key) => named?.has(keyOf(key)) || keyOf(key) === keyOf(signed.keyId)))
    throw new ServiceError("conflict", "this key has named all of those already");
  if ((named?.size ?? 0) + says.keys.length > AFFILIATED_KEYS_IN_ALL)
    throw new ServiceError("conflict", `a key names ${AFFILIATED_KEYS_IN_ALL} keys of its owner at most`);
  return { name: `affiliation ${hex(signed.keyId)}` };
}

function checkRecomputation(fold: FoldState, { says, signed }: EntryOf<"recomputation">): Named {
  const { size } = says;
  if (size > fold.size)
    throw new ServiceError("conflict", `the log has ${fold.size} entries: nobody can have counted ${size} of them`);
  const rules = keyOf(says.rules);
  const own = (fold.recomputations.get(keyOf(signed.keyId)) ?? []).filter((one) => one.rules === rules);
  const known = own.find((one) => one.size === size);
  const isSame = known !== undefined && known.result === keyOf(says.result) && known.agrees === (says.agrees === "yes");
  const name = `recomputation ${hex(signed.keyId)} ${size}`;
  if (isSame) return { name, index: known.index };
  const most = Math.max(-1, ...own.map((one) => one.size));
  if (size <= most)
    throw new ServiceError(
      "conflict",
      `this key has counted ${most} entries already: say it of more, as the log has by now`,
    );
  return { name };
}

/** A dispute of a receipt's label, which needs no opening: it says nothing of the answer. */
export function checkLabelDispute(fold: FoldState, { says, signed }: EntryOf<"dispute">): Named {
  getValidReceipt(fold, says.receipt);
  if (fold.demand.labelDisputers.has(keyOf(says.receipt) + keyOf(signed.keyId)))
    throw new ServiceError("conflict", `this key disputes the label of ${hex(says.receipt)} already`);
  return { name: `label ${hex(signed.keyId)} ${hex(says.receipt)}` };
}

function getReceipt(fold: FoldState, id: Uint8Array): UsedReceipt {
  const receipt = fold.receipts.get(keyOf(id));
  if (receipt !== undefined) return receipt;
  throw new ServiceError("not_found", `no published receipt ${hex(id)}: wait a second for the next checkpoint`);
}

function getValidReceipt(fold: FoldState, id: Uint8Array): UsedReceipt {
  const receipt = getReceipt(fold, id);
  if (receipt.exclusion === undefined) return receipt;
  throw new ServiceError(
    "conflict",
    `receipt ${hex(id)} is not a valid inference (${receipt.exclusion}): nothing can rest on it`,
  );
}
