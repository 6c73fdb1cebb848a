/** What parties state of use, for test/vectors/entry: each item laid by hand from docs/spec/entry.md. */
import { createHash } from "node:crypto";
import { hex, keyId, type Signer } from "@tallystick/protocol";
import { fixedSigner } from "../../test/fixed-keys.ts";
import type { Item } from "./cbor.ts";

type Pairs = [number, Item][];

const digest = (label: string) => createHash("sha256").update(label).digest();
const hexOf = (label: string) => hex(digest(label));
const [relier, logKey, auditor] = [fixedSigner("relier"), fixedSigner("log"), fixedSigner("auditor")];
const [node, session, disputer] = [fixedSigner("node"), fixedSigner("session"), fixedSigner("disputer")];

const ids = ["a", "b", "c"].map(digest).sort(Buffer.compare);
const enrolment = (by: Signer, role: number, name: string): Pairs => [
  [0, 1],
  [1, 1],
  [2, role],
  [3, by.spki],
  [4, name],
];
const reliance: Pairs = [
  [0, 1],
  [1, digest("receipt")],
  [2, 2],
  [3, 1],
  [4, 23],
];
const affiliation = (keys: Uint8Array[]): Pairs => [
  [0, 1],
  [2, keys],
];
const snapshot: Pairs = [
  [0, 1],
  [1, "2026-11-22"],
  [2, 1_000],
  [3, digest("rules")],
  [4, digest("result")],
];
const recomputation: Pairs = [
  [0, 1],
  [1, 1_000],
  [2, digest("rules")],
  [3, digest("result")],
  [4, 1],
];
const dispute: Pairs = [
  [0, 1],
  [1, digest("receipt")],
  [2, 2],
  [3, digest("evidence")],
];

/** `pairs` with the item of one key put otherwise, or added at the end; undefined leaves it out. */
function but(pairs: Pairs, key: number, item: Item | undefined): Pairs {
  const others = pairs.filter(([known]) => known !== key);
  if (item === undefined) return others;
  return [...others, [key, item] satisfies [number, Item]].sort(([a], [b]) => a - b);
}

/** What may be said: its kind, who says it, the bytes' items, and what they say. */
export function validStatements(): [string, string, Signer, Pairs, object][] {
  const relied = { version: 1, receipt: hexOf("receipt") };
  const enrols = (by: Signer, role: string, name: string) => ({
    ...{ version: 1, action: "enrol", role, spki: hex(by.spki), name },
  });
  const closed = { version: 1, day: "2026-11-22", size: 1_000, rules: hexOf("rules"), result: hexOf("result") };
  const counted = { version: 1, size: 1_000, rules: hexOf("rules"), result: hexOf("result"), agrees: "yes" };
  return [
    [
      "an auditor's key enrols",
      "key",
      auditor,
      enrolment(auditor, 9, "auditor"),
      enrols(auditor, "auditor", "auditor"),
    ],
    [
      "a relier's key enrols under its domain",
      "key",
      relier,
      but(enrolment(relier, 5, "bank"), 5, "risk.bank-1.example"),
      { ...enrols(relier, "relier", "bank"), domain: "risk.bank-1.example" },
    ],
    [
      "an answer is relied on for a credit of 2^23 units and more",
      "reliance",
      relier,
      reliance,
      { ...relied, purpose: "credit", class: "stated", valueBucket: 23 },
    ],
    [
      "an answer is relied on for the largest value",
      "reliance",
      relier,
      but(but(but(reliance, 2, 13), 3, undefined), 4, 63),
      { ...relied, purpose: "research", valueBucket: 63 },
    ],
    [
      "a contract consumed an answer",
      "reliance",
      relier,
      but(but(but(reliance, 2, undefined), 3, 3), 4, undefined),
      { ...relied, class: "consumed" },
    ],
    ["what was relied on is not any more", "reversal", relier, reliance.slice(0, 2), relied],
    ["a node names the keys of its owner", "affiliation", node, affiliation(ids), { version: 1, keys: ids.map(hex) }],
    [
      "a session's key names the one key of its owner",
      "affiliation",
      session,
      but(affiliation([keyId(node.spki)]), 1, digest("grant")),
      { version: 1, session: hexOf("grant"), keys: [hex(keyId(node.spki))] },
    ],
    ["the log says what a day came to", "snapshot", logKey, snapshot, closed],
    ["an auditor counted the same", "recomputation", auditor, recomputation, counted],
    [
      "an auditor counted otherwise than a snapshot says",
      "recomputation",
      auditor,
      but(but(recomputation, 4, 2), 5, digest("snapshot")),
      { ...counted, agrees: "no", snapshot: hexOf("snapshot") },
    ],
    [
      "a label is disputed",
      "dispute",
      disputer,
      dispute,
      { version: 1, receipt: hexOf("receipt"), ground: "label", evidence: hexOf("evidence") },
    ],
  ];
}

/** What nobody may say, because no reader reads it. */
export function invalidStatements(): [string, string, Signer, Pairs][] {
  const enrols = (desc: string, domain: Item): [string, string, Signer, Pairs] => [
    desc,
    "key",
    relier,
    but(enrolment(relier, 5, "bank"), 5, domain),
  ];
  const relied = (desc: string, key: number, item: Item | undefined): [string, string, Signer, Pairs] => [
    desc,
    "reliance",
    relier,
    but(reliance, key, item),
  ];
  const named = (desc: string, keys: Uint8Array[]): [string, string, Signer, Pairs] => [
    desc,
    "affiliation",
    node,
    affiliation(keys),
  ];
  const closed = (desc: string, key: number, item: Item | undefined): [string, string, Signer, Pairs] => [
    desc,
    "snapshot",
    logKey,
    but(snapshot, key, item),
  ];
  const counted = (desc: string, key: number, item: Item | undefined): [string, string, Signer, Pairs] => [
    desc,
    "recomputation",
    auditor,
    but(recomputation, key, item),
  ];
  const numbered = (count: number) => Array.from({ length: count }, (_, i) => digest(`${i}`)).sort(Buffer.compare);
  return [
    enrols("a domain of one label", "localhost"),
    enrols("a domain in upper case", "Bank.example"),
    enrols("a domain with an empty label", "bank..example"),
    enrols("a domain with a dot at its end", "bank.example."),
    enrols("a domain with a label that ends in a hyphen", "bank-.example"),
    enrols("a domain with a label of 64 letters", `${"a".repeat(64)}.example`),
    enrols("a domain of 129 letters", `${"a.".repeat(61)}example`),
    enrols("an address for a domain", "192.0.2.1"),
    enrols("an empty domain", ""),
    relied("a purpose that nobody knows", 2, 14),
    relied("the purpose 0", 2, 0),
    relied("a purpose in words", 2, "credit"),
    relied("a class that nobody knows", 3, 6),
    relied("a value's bucket of 64", 4, 64),
    relied("a value's bucket under 0", 4, -1),
    relied("a field of a reliance that nobody knows", 5, 1),
    relied("a reliance of no receipt", 1, undefined),
    ["a reversal with a purpose", "reversal", relier, reliance.slice(0, 3)],
    ["a reversal of a receipt's id of 31 bytes", "reversal", relier, but(reliance.slice(0, 2), 1, new Uint8Array(31))],
    named("an affiliation with no key", []),
    named("an affiliation with 65 keys", numbered(65)),
    named("an affiliation whose keys are out of order", [...ids].reverse()),
    named("an affiliation that names a key twice", [...ids.slice(0, 1), ...ids.slice(0, 1)]),
    named("an affiliation with a key id of 31 bytes", [new Uint8Array(31)]),
    ["an affiliation without keys", "affiliation", node, [[0, 1]]],
    closed("a day without its leading zeros", 1, "2026-1-2"),
    closed("a day of a thirteenth month", 1, "2026-13-01"),
    closed("a day with a time", 1, "2026-11-22T00:00:00Z"),
    closed("a day as a number", 1, 20_779),
    closed("a size over 2^53 - 1", 2, 2n ** 53n),
    closed("a digest of rules of 31 bytes", 3, new Uint8Array(31)),
    closed("a snapshot without a result", 4, undefined),
    counted("a recomputation that neither agrees nor does not", 4, 3),
    counted("a recomputation that does not say whether it agrees", 4, undefined),
    counted("a recomputation of no size", 1, undefined),
    counted("a snapshot's id of 31 bytes", 5, new Uint8Array(31)),
    ["a dispute of a ground that nobody knows", "dispute", disputer, but(dispute, 2, 3)],
  ];
}
