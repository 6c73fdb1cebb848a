/**
 * Who is one party, by the definitions of docs/spec/usage.md, "Clusters": links between names, followed until nothing more is
 * reached. The second road to what the fold joins.
 */
import { hex, keyId, parseAuthorization, signedId, WASH_RULES } from "@tallystick/protocol";
import type { SlowLog } from "./slow-figures.ts";
import type { SlowMoney } from "./slow-money.ts";

/** Whether two keys or payers' tags, in hex, are of one cluster by all that a log says. */
export function slowClusters(log: SlowLog, money: SlowMoney): (one: string, other: string) => boolean {
  const links = [...grantLinks(log), ...ownerLinks(log), ...funderLinks(log, money)];
  return (one, other) => {
    const reached = [one];
    for (const at of reached)
      for (const link of links) {
        const [next] = link.includes(at) ? link.filter((name) => name !== at) : [];
        if (next !== undefined && !reached.includes(next)) reached.push(next);
      }
    return reached.includes(other);
  };
}

/** A payer and a key: of the key's first grant, or of one in whose session the key asked. */
function grantLinks(log: SlowLog): string[][] {
  const all = log.all("grant").filter(({ entry }) => hex(entry.says.gateway) === hex(entry.signed.keyId));
  const keyOf = ({ entry }: (typeof all)[number]) => hex(keyId(entry.says.sessionKey));
  const asked = all.filter((grant) => hasAsked(log, hex(signedId(grant.entry.signed)), keyOf(grant)));
  const first = all.filter((grant, i) => all.findIndex((other) => keyOf(other) === keyOf(grant)) === i);
  return [...first, ...asked].map((grant) => [hex(grant.entry.says.payerTag), keyOf(grant)]);
}

/** Whether `key` signed an authorization of `session` whose first receipt comes after the grant. */
function hasAsked(log: SlowLog, session: string, key: string): boolean {
  const receipts = log.all("receipt").map(({ at, entry }) => ({ at, ...parseAuthorization(entry.says.authorization) }));
  const idOf = ({ signed }: (typeof receipts)[number]) => hex(signedId(signed));
  const first = receipts.filter((some, i) => receipts.findIndex((other) => idOf(other) === idOf(some)) === i);
  return first.some(
    ({ at, says, signed }) =>
      hex(says.session) === session && hex(signed.keyId) === key && log.session(session, at) !== undefined,
  );
}

function ownerLinks(log: SlowLog): string[][] {
  const said = log
    .all("affiliation")
    .flatMap(({ entry: { says, signed } }) => says.keys.map((key) => [hex(signed.keyId), hex(key)]));
  return said.filter(([by, of]) => said.some(([otherBy, other]) => otherBy === of && other === by));
}

/** A payer's first funder: of the first top-up that is worth naming, or of the first at all. */
function funderLinks(log: SlowLog, money: SlowMoney): string[][] {
  const named = money.topUps().flatMap(({ at, says: { payerTag, funder, amount, source } }) => {
    const role = funder && log.roleAt(hex(funder), at);
    const isOperators =
      source === "operator" || (role !== undefined && !["relier", "disputer", "auditor"].includes(role));
    return funder === undefined || isOperators ? [] : [{ payer: hex(payerTag), funder: hex(funder), amount }];
  });
  return [...new Set(named.map(({ payer }) => payer))].map((payer) => {
    const own = named.filter((some) => some.payer === payer);
    const first = own.find(({ amount }) => amount >= BigInt(WASH_RULES.firstFunderAtomic)) ?? own[0];
    return [payer, first?.funder ?? payer];
  });
}
