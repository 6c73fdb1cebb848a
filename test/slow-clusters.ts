/**
 * Who is one party, by the definitions of docs/spec/usage.md, "Clusters": links between names, followed until nothing more is
 * reached. The second road to what the fold joins.
 */
import { hex, keyId, WASH_RULES } from "@tallystick/protocol";
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

const grantLinks = (log: SlowLog) =>
  log
    .all("grant")
    .flatMap(({ entry: { says, signed } }) =>
      hex(says.gateway) === hex(signed.keyId) ? [[hex(says.payerTag), hex(keyId(says.sessionKey))]] : [],
    );

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
