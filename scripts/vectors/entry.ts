/** test/vectors/entry: entries and authorizations, each byte laid by hand from docs/spec/entry.md and not by our codecs. */
import { createHash } from "node:crypto";
import { hex, keyId, possessionMessage, type Signer } from "@tallystick/protocol";
import { fixedSigner } from "../../test/fixed-keys.ts";
import { LogInMemory } from "../../test/log-in-memory.ts";
import { cbor, type Item, map } from "./cbor.ts";
import { invalidStatements, validStatements } from "./statements.ts";

const digest = (label: string) => createHash("sha256").update(label).digest();
const signer = { node: fixedSigner("node"), gateway: fixedSigner("gateway"), session: fixedSigner("session") };
const publisher = fixedSigner("publisher");
const relier = fixedSigner("relier");
const logKey = fixedSigner("log");
const NOON = Date.UTC(2026, 10, 22, 12) / 1000;
const ORIGIN = "log.example/tallystick";

/** A COSE_Sign1; `form` puts another header, unprotected header, signature or whole in its place. */
async function sign1(
  by: Signer,
  kind: string,
  payload: Item,
  form: {
    header?: Item;
    payload?: Item;
    signature?: (made: Uint8Array) => Item;
    whole?: (parts: Item[]) => Buffer;
  } = {},
): Promise<{ bytes: Buffer; toBeSigned: Buffer }> {
  const contentType = `application/vnd.tallystick.${kind}+cbor`;
  const header = cbor(form.header ?? map([1, -7], [3, contentType], [4, keyId(by.spki)]));
  const body = cbor(payload);
  const toBeSigned = cbor(["Signature1", header, new Uint8Array(0), body]);
  const signature = await by.sign(toBeSigned);
  const parts: Item[] = [header, map(), form.payload ?? body, form.signature?.(signature) ?? signature];
  const bytes = form.whole?.(parts) ?? Buffer.concat([Buffer.of(0xd2), cbor(parts)]);
  return { bytes, toBeSigned };
}

const enrolment = (spki: Item = signer.node.spki): [number, Item][] => [
  [0, 1],
  [1, 1],
  [2, 3],
  [3, spki],
  [4, "example-node"],
];
const request = map([1, 1], [2, digest("request")]);
const ask = (session: Uint8Array): [number, Item][] => [
  [0, 1],
  [1, session],
  [2, 0],
  [3, digest("revision")],
  [4, request],
  [5, 1],
  [6, 5],
  [7, NOON + 60],
  [8, 1],
  [9, 1],
];
const answer = (authorization: Item): [number, Item][] => [
  [0, 1],
  [1, authorization],
  [2, 1],
  [3, map([1, "onnxruntime-web@1.2.3"], [2, digest("engine")], [3, 1])],
  [4, map([1, 1], [2, digest("response")])],
  [5, 1],
  [6, 3],
  [7, 1],
  [8, 0],
];

const STREAM = map([1, 0xffff_ffff], [2, digest("head")]);
const UPSTREAM = map([1, "acme"], [2, digest("model")], [3, digest("response id")], [4, digest("fingerprint")]);

/** `pairs` with some keys' items put otherwise; undefined leaves the key out. */
function otherwise(pairs: [number, Item][], change: Record<number, Item | undefined>): Map<number, Item> {
  const kept = pairs.flatMap(([key, item]): [number, Item][] => {
    const put = key in change ? change[key] : item;
    return put === undefined ? [] : [[key, put]];
  });
  const added = Object.entries(change).flatMap(([key, item]): [number, Item][] =>
    item === undefined || pairs.some(([known]) => known === Number(key)) ? [] : [[Number(key), item]],
  );
  return map(...kept, ...added);
}

async function grantPairs(app?: string): Promise<[number, Item][]> {
  const session = { origin: ORIGIN, gateway: keyId(signer.gateway.spki), sessionKey: signer.session.spki };
  return [
    [0, 1],
    [1, session.origin],
    [2, session.gateway],
    [3, session.sessionKey],
    [4, 2],
    [5, digest("payer").subarray(0, 16)],
    [6, 1],
    [7, 1000],
    [8, 1],
    [9, NOON + 3600],
    [10, await signer.session.sign(possessionMessage({ ...session, app }))],
    ...(app === undefined ? [] : [[11, app] satisfies [number, Item]]),
  ];
}

const payer = digest("payer").subarray(0, 16);
const reference = digest("reference").subarray(0, 16);
const topup: [number, Item][] = [
  [0, 1],
  [1, 1],
  [2, payer],
  [3, 25_000_000],
  [4, 1],
  [5, keyId(publisher.spki)],
  [6, reference],
];
const charge: [number, Item][] = [
  [0, 1],
  [1, 2],
  [2, payer],
  [3, 7],
  [7, [digest("receipt"), digest("another receipt")]],
];
const refund: [number, Item][] = [
  [0, 1],
  [1, 3],
  [2, payer],
  [3, 3],
  [8, digest("receipt")],
  [9, 2],
];
const payout: [number, Item][] = [
  [0, 1],
  [1, 4],
  [3, 2n ** 64n - 1n],
  [6, reference],
  [10, keyId(signer.node.spki)],
];

/** Each action, as bytes and as what they say. */
function settlements(): [string, [number, Item][], object][] {
  const ofPayer = { version: 1, payerTag: hex(payer) };
  return [
    [
      "an operator tops a payer up",
      topup,
      {
        ...ofPayer,
        action: "topup",
        amount: "25000000",
        source: "operator",
        funder: hex(keyId(publisher.spki)),
        reference: hex(reference),
      },
    ],
    [
      "a payer is topped up by a transfer whose sender has no key",
      topup.filter(([key]) => key !== 5).map(([key, item]) => [key, key === 4 ? 2 : item]),
      { ...ofPayer, action: "topup", amount: "25000000", source: "transfer", reference: hex(reference) },
    ],
    [
      "two receipts are charged",
      charge,
      {
        ...ofPayer,
        action: "charge",
        amount: "7",
        receipts: [hex(digest("receipt")), hex(digest("another receipt"))],
      },
    ],
    [
      "a receipt that turned out unproved is refunded",
      refund,
      { ...ofPayer, action: "refund", amount: "3", receipt: hex(digest("receipt")), reason: "unproved" },
    ],
    [
      "a node is paid out",
      payout,
      {
        version: 1,
        action: "payout",
        amount: String(2n ** 64n - 1n),
        reference: hex(reference),
        payee: hex(keyId(signer.node.spki)),
      },
    ],
  ];
}

export async function entryVectors() {
  const valid: Promise<object>[] = [];
  const made = async (desc: string, kind: string, by: Signer, payload: Item, says: object) => {
    const { bytes, toBeSigned } = await sign1(by, kind, payload);
    const id = createHash("sha256").update(toBeSigned).digest();
    return { desc, wantErr: false, kind, hex: hex(bytes), spki: hex(by.spki), signedId: hex(id), says };
  };
  const grant = await grantPairs();
  const grantForApp = await grantPairs("example/app");
  const session = createHash("sha256")
    .update((await sign1(signer.gateway, "grant", map(...grant))).toBeSigned)
    .digest();
  const authorization = (await sign1(signer.session, "authorization", map(...ask(session)))).bytes;
  const hexOf = (bytes: Uint8Array) => hex(bytes);
  const asks = {
    version: 1,
    session: hexOf(session),
    nonce: 0,
    revision: hexOf(digest("revision")),
    request: { alg: "sha256", digest: hexOf(digest("request")) },
    tier: "signed",
    maxPrice: "5",
    expiry: NOON + 60,
    openness: "none",
    traffic: "production",
  };
  const granted = (pairs: [number, Item][]) => ({
    version: 1,
    origin: ORIGIN,
    gateway: hexOf(keyId(signer.gateway.spki)),
    sessionKey: hexOf(signer.session.spki),
    custody: "account",
    payerTag: hexOf(digest("payer").subarray(0, 16)),
    tagMode: "stable",
    budget: "1000",
    paymentClass: "free",
    expiry: NOON + 3600,
    possession: hexOf((pairs[10]?.[1] as Uint8Array | undefined) ?? new Uint8Array(0)),
  });
  const answers = {
    version: 1,
    authorization: hexOf(authorization),
    status: "ok",
    profile: { runtime: "onnxruntime-web@1.2.3", binary: hexOf(digest("engine")), exactness: "exact" },
    response: { alg: "sha256", digest: hexOf(digest("response")) },
    units: 1,
    price: "3",
    provenance: "executed",
    sequence: 0,
  };
  const log = new LogInMemory(ORIGIN);
  log.append(Buffer.from("an entry"));
  const checkpoint = Buffer.from(log.checkpointFile(NOON));
  const enrols = { version: 1, action: "enrol", role: "node", spki: hexOf(signer.node.spki), name: "example-node" };
  valid.push(
    made("a node's key enrols", "key", signer.node, map(...enrolment()), enrols),
    made("a node's key retires", "key", signer.node, otherwise(enrolment(), { 1: 2 }), { ...enrols, action: "retire" }),
    made(
      "a revision is published for a price",
      "model",
      publisher,
      map([0, 1], [1, 1], [2, digest("manifest")], [3, Buffer.from("manifest")], [4, 2n ** 64n - 1n]),
      {
        version: 1,
        action: "publish",
        revision: hexOf(digest("manifest")),
        manifest: hexOf(Buffer.from("manifest")),
        price: String(2n ** 64n - 1n),
      },
    ),
    made("a revision is yanked", "model", publisher, map([0, 1], [1, 2], [2, digest("manifest")]), {
      version: 1,
      action: "yank",
      revision: hexOf(digest("manifest")),
    }),
    made("a session is granted", "grant", signer.gateway, map(...grant), granted(grant)),
    made("a session is granted to an app", "grant", signer.gateway, map(...grantForApp), {
      ...granted(grantForApp),
      app: "example/app",
    }),
    made("a request is authorised", "authorization", signer.session, map(...ask(session)), asks),
    made(
      "a request is authorised as one of a decision",
      "authorization",
      signer.session,
      otherwise(ask(session), { 2: 0xffff_ffff, 10: digest("decision").subarray(0, 16) }),
      { ...asks, nonce: 0xffff_ffff, decision: hexOf(digest("decision").subarray(0, 16)) },
    ),
    made("a request is answered", "receipt", signer.node, map(...answer(authorization)), answers),
    made(
      "a request has failed, and has no response",
      "receipt",
      signer.node,
      otherwise(answer(authorization), { 2: 2, 4: undefined, 6: 0, 8: 1 }),
      without({ ...answers, status: "failed", price: "0", sequence: 1 }, "response"),
    ),
    made(
      "a streamed answer of an upstream, with all that a receipt may commit to",
      "receipt",
      signer.node,
      otherwise(answer(authorization), { 7: 2, 9: STREAM, 10: UPSTREAM, 11: digest("evidence"), 12: 2 ** 40 }),
      {
        ...answers,
        provenance: "relayed",
        stream: { frames: 0xffff_ffff, head: hexOf(digest("head")) },
        upstream: {
          name: "acme",
          model: hexOf(digest("model")),
          responseId: hexOf(digest("response id")),
          fingerprint: hexOf(digest("fingerprint")),
        },
        evidence: hexOf(digest("evidence")),
        outputUnits: 2 ** 40,
      },
    ),
    made(
      "an answer of an upstream that says no more of itself than its model",
      "receipt",
      signer.node,
      otherwise(answer(authorization), { 7: 2, 10: map([1, "acme"], [2, digest("model")]), 12: 0 }),
      {
        ...answers,
        provenance: "relayed",
        upstream: { name: "acme", model: hexOf(digest("model")) },
        outputUnits: 0,
      },
    ),
    made(
      "a revision is published at a price a million units, and another a million output tokens",
      "model",
      publisher,
      map([0, 1], [1, 1], [2, digest("manifest")], [3, Buffer.from("manifest")], [5, 1], [6, 2n ** 64n - 1n]),
      {
        version: 1,
        action: "publish",
        revision: hexOf(digest("manifest")),
        manifest: hexOf(Buffer.from("manifest")),
        unitPrice: "1",
        outputUnitPrice: String(2n ** 64n - 1n),
      },
    ),
    made("an answer is accepted", "acknowledgement", signer.session, map([0, 1], [1, digest("receipt")]), {
      version: 1,
      receipt: hexOf(digest("receipt")),
    }),
    made("an answer is relied on", "reliance", relier, map([0, 1], [1, digest("receipt")]), {
      version: 1,
      receipt: hexOf(digest("receipt")),
    }),
    made("an epoch gives the entries before it their time", "epoch", logKey, map([0, 1], [1, checkpoint]), {
      version: 1,
      checkpoint: hexOf(checkpoint),
    }),
  );
  valid.push(
    ...settlements().map(([desc, pairs, says]) => made(desc, "settlement", signer.gateway, map(...pairs), says)),
    ...validStatements().map(([desc, kind, by, pairs, says]) => made(desc, kind, by, map(...pairs), says)),
  );
  return { valid: await Promise.all(valid), invalid: await invalidEntries(grant, session, authorization) };
}

function without<T extends object>(value: T, key: keyof T): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
}

/** A yanked revision with prices. */
const priced = (prices: Record<number, Item>) =>
  otherwise(
    [
      [0, 1],
      [1, 2],
      [2, digest("manifest")],
    ],
    prices,
  );

async function invalidEntries(grant: [number, Item][], session: Uint8Array, authorization: Uint8Array) {
  const { node } = signer;
  type Form = Parameters<typeof sign1>[3];
  const malformed = async (desc: string, kind: string, by: Signer, payload: Item, form?: Form) => {
    const { bytes } = await sign1(by, kind, payload, form);
    return { desc, wantErr: true, failure: "malformed", kind, hex: hex(bytes), spki: hex(by.spki) };
  };
  const key = (desc: string, payload: Item, form?: Form) => malformed(desc, "key", node, payload, form);
  const asked = (desc: string, change: Record<number, Item | undefined>) =>
    malformed(desc, "authorization", signer.session, otherwise(ask(session), change));
  const answered = (desc: string, change: Record<number, Item | undefined>) =>
    malformed(desc, "receipt", node, otherwise(answer(authorization), change));
  const granted = (desc: string, change: Record<number, Item | undefined>) =>
    malformed(desc, "grant", signer.gateway, otherwise(grant, change));
  const settled = (desc: string, pairs: [number, Item][], change: Record<number, Item | undefined>) =>
    malformed(desc, "settlement", signer.gateway, otherwise(pairs, change));
  const good = map(...enrolment());
  const contentType = "application/vnd.tallystick.key+cbor";
  const kid = keyId(node.spki);
  const refused = async (desc: string, by: Signer, bytes: Buffer) => ({
    desc,
    wantErr: true,
    failure: "bad_signature",
    kind: "key",
    hex: hex(bytes),
    spki: hex(by.spki),
  });
  const flipped = (await sign1(node, "key", good)).bytes;
  const at = flipped.indexOf("example-node");
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  return Promise.all([
    key("no tag", good, { whole: (parts) => cbor(parts) }),
    key("the tag of a COSE_Mac0", good, { whole: (parts) => Buffer.concat([Buffer.of(0xd1), cbor(parts)]) }),
    key("the tag in more than it needs", good, { whole: (parts) => Buffer.concat([Buffer.of(0xd8, 18), cbor(parts)]) }),
    key("three parts", good, { whole: (parts) => Buffer.concat([Buffer.of(0xd2), cbor(parts.slice(0, 3))]) }),
    key("five parts", good, { whole: (parts) => Buffer.concat([Buffer.of(0xd2), cbor([...parts, 0])]) }),
    key("a byte after the end", good, {
      whole: (parts) => Buffer.concat([Buffer.of(0xd2), cbor(parts), Buffer.of(0)]),
    }),
    key("an unprotected header", good, {
      whole: ([header = 0, , ...rest]) => Buffer.concat([Buffer.of(0xd2), cbor([header, map([4, kid]), ...rest])]),
    }),
    key("an indefinite array of parts", good, {
      whole: (parts) => Buffer.concat([Buffer.of(0xd2, 0x9f), ...parts.map(cbor), Buffer.of(0xff)]),
    }),
    key("a detached payload", good, { payload: { raw: "f6" } }),
    key("a signature of 63 bytes", good, { signature: (made) => made.subarray(1) }),
    key("a signature of 65 bytes", good, { signature: (made) => Buffer.concat([made, Buffer.of(0)]) }),
    key("the algorithm ES384", good, { header: map([1, -35], [3, contentType], [4, kid]) }),
    key("no algorithm", good, { header: map([3, contentType], [4, kid]) }),
    key("no content type", good, { header: map([1, -7], [4, kid]) }),
    key("no key id", good, { header: map([1, -7], [3, contentType]) }),
    key("a key id of 31 bytes", good, { header: map([1, -7], [3, contentType], [4, kid.subarray(1)]) }),
    key("a header that is not sorted", good, { header: map([3, contentType], [1, -7], [4, kid]) }),
    key("a header with a critical parameter", good, { header: map([1, -7], [2, [1]], [3, contentType], [4, kid]) }),
    key("a content type that is a number", good, { header: map([1, -7], [3, 60], [4, kid]) }),
    malformed("a kind that nobody knows", "keys", node, good),
    malformed("a content type in upper case", "KEY", node, good),
    malformed("an authorization's content type on a key", "authorization", node, good),
    malformed("a key's content type on an authorization", "key", signer.session, map(...ask(session))),
    malformed("a receipt's content type on a key", "receipt", node, good),
    key("version 2", otherwise(enrolment(), { 0: 2 })),
    key("no version", otherwise(enrolment(), { 0: undefined })),
    key("no name", otherwise(enrolment(), { 4: undefined })),
    key("a key that nobody knows", otherwise(enrolment(), { 6: 0 })),
    key("keys that are not sorted", map(...enrolment().reverse())),
    key("an action that nobody knows", otherwise(enrolment(), { 1: 3 })),
    key("the role 0", otherwise(enrolment(), { 2: 0 })),
    key("a role that nobody knows", otherwise(enrolment(), { 2: 10 })),
    key("a role as text", otherwise(enrolment(), { 2: "node" })),
    key("an empty name", otherwise(enrolment(), { 4: "" })),
    key("a name in upper case", otherwise(enrolment(), { 4: "Example" })),
    key("a name with two slashes", otherwise(enrolment(), { 4: "a/b/c" })),
    key("a name that starts with a dot", otherwise(enrolment(), { 4: "../a" })),
    key("a name with a line break", otherwise(enrolment(), { 4: "a\n" })),
    key("a name of 129 letters", otherwise(enrolment(), { 4: "a".repeat(129) })),
    key("a public key of 90 bytes", otherwise(enrolment(), { 3: node.spki.subarray(1) })),
    key("a public key of secp256k1", otherwise(enrolment(secp256k1(node.spki)), {})),
    key("a compressed public key", otherwise(enrolment(Buffer.from(node.spki).fill(2, 26, 27)), {})),
    granted("an origin with a space", { 1: "log.example/a b" }),
    granted("an origin with a plus", { 1: "log.example/a+b" }),
    granted("an origin that is not ASCII", { 1: "log.example/é" }),
    granted("a payer's tag of 15 bytes", { 5: new Uint8Array(15) }),
    granted("a custody that nobody knows", { 4: 4 }),
    granted("a budget under 0", { 7: -1 }),
    granted("a budget of 65 bits", { 7: { raw: "c249010000000000000000" } }),
    granted("an expiry after 2106", { 9: 2 ** 32 }),
    granted("no possession", { 10: undefined }),
    granted("an empty app", { 11: "" }),
    granted("an app in upper case", { 11: "Example" }),
    granted("an app of 65 letters", { 11: "a".repeat(65) }),
    granted("a field of a grant that nobody knows", { 12: 0 }),
    asked("a nonce over 2^32 - 1", { 2: 2 ** 32 }),
    asked("a nonce under 0", { 2: -1 }),
    asked("a nonce in more than it needs", { 2: { raw: "1800" } }),
    asked("a commitment of 31 bytes", { 4: map([1, 1], [2, new Uint8Array(31)]) }),
    asked("a commitment by a hash that nobody knows", { 4: map([1, 3], [2, digest("request")]) }),
    asked("a bare digest for a commitment", { 4: digest("request") }),
    asked("a tier that nobody knows", { 5: 5 }),
    asked("a decision of 15 bytes", { 10: new Uint8Array(15) }),
    asked("no expiry", { 7: undefined }),
    answered("no authorization", { 1: undefined }),
    answered("an authorization of 513 bytes", { 1: new Uint8Array(513) }),
    answered("a status that nobody knows", { 2: 4 }),
    answered("a runtime with a space", { 3: map([1, "a b"], [2, digest("engine")], [3, 1]) }),
    answered("a runtime of 65 letters", { 3: map([1, "a".repeat(65)], [2, digest("engine")], [3, 1]) }),
    answered("units over 2^53 - 1", { 5: 2n ** 53n }),
    answered("a receipt of more than 1,024 bytes", { 9: new Uint8Array(500) }),
    answered("an authorization's field of more than 384 bytes", { 1: new Uint8Array(385) }),
    answered("a stream as its head alone", { 9: digest("head") }),
    answered("a stream without its head", { 9: map([1, 1]) }),
    answered("a stream of 2^32 frames", { 9: map([1, 2 ** 32], [2, digest("head")]) }),
    answered("a stream whose head has 31 bytes", { 9: map([1, 1], [2, digest("head").subarray(1)]) }),
    answered("a stream with a third field", { 9: map([1, 1], [2, digest("head")], [3, 0]) }),
    answered("an upstream without a name", { 10: map([2, digest("model")]) }),
    answered("an upstream without its model", { 10: map([1, "acme"]) }),
    answered("an upstream's name in upper case", { 10: map([1, "Acme"], [2, digest("model")]) }),
    answered("an upstream's name with a slash", { 10: map([1, "acme/one"], [2, digest("model")]) }),
    answered("an upstream's name of 65 letters", { 10: map([1, "a".repeat(65)], [2, digest("model")]) }),
    answered("an upstream's model in clear", { 10: map([1, "acme"], [2, "qwen3-8b"]) }),
    answered("evidence in clear", { 11: "a node was tried" }),
    answered("evidence as a commitment with an algorithm", { 11: map([1, 1], [2, digest("evidence")]) }),
    answered("a field of a receipt that nobody knows", { 13: 0 }),
    answered("output units over 2^53 - 1", { 12: 2n ** 53n }),
    answered("output units under 0", { 12: -1 }),
    malformed("a price a million units of 2^64", "model", publisher, priced({ 5: { raw: "c249010000000000000000" } })),
    malformed("a price a million output tokens under 0", "model", publisher, priced({ 6: -1 })),
    malformed("a price a million units as text", "model", publisher, priced({ 5: "1" })),
    malformed("a price that nobody knows", "model", publisher, priced({ 7: 1 })),
    malformed("a revision of 31 bytes", "model", publisher, map([0, 1], [1, 2], [2, new Uint8Array(31)])),
    malformed("a receipt's id of 33 bytes", "reliance", relier, map([0, 1], [1, new Uint8Array(33)])),
    settled("a settlement of an action that nobody knows", topup, { 1: 5 }),
    settled("a settlement without an action", topup, { 1: undefined }),
    settled("a settlement of version 2", topup, { 0: 2 }),
    settled("a charge with a top-up's action", charge, { 1: 1 }),
    settled("a top-up without a reference", topup, { 6: undefined }),
    settled("a reference of 15 bytes", topup, { 6: reference.subarray(1) }),
    settled("a top-up from a source that nobody knows", topup, { 4: 4 }),
    settled("a top-up with a payee", topup, { 10: keyId(signer.node.spki) }),
    settled("an amount under 0", topup, { 3: -1 }),
    settled("a payer's tag of 17 bytes in a settlement", topup, { 2: digest("payer").subarray(0, 17) }),
    settled("a charge of no receipt", charge, { 7: [] }),
    settled("a charge of 1,001 receipts", charge, { 7: Array.from({ length: 1_001 }, () => digest("receipt")) }),
    settled("a charge of a receipt's id of 31 bytes", charge, { 7: [digest("receipt").subarray(1)] }),
    settled("a refund without a reason", refund, { 9: undefined }),
    settled("a refund for a reason that nobody knows", refund, { 9: 5 }),
    settled("a payout to a payer", payout, { 2: payer }),
    ...invalidStatements().map(([desc, kind, by, pairs]) => malformed(desc, kind, by, map(...pairs))),
    malformed("a checkpoint as text", "epoch", logKey, map([0, 1], [1, "a checkpoint"])),
    refused("a letter of the name changed", node, flipped),
    refused("signed by another key under this one's id", node, await forged(node, good)),
    refused(
      "signed by this key under another's id",
      node,
      (await sign1({ ...relier, sign: node.sign }, "key", good)).bytes,
    ),
    refused("the halves of the signature in each other's place", node, await swapped(node, good)),
    refused(
      "a signature of zeros",
      node,
      (await sign1(node, "key", good, { signature: () => new Uint8Array(64) })).bytes,
    ),
  ]);
}

/** The key's bytes under the object identifier of secp256k1, as long as that of prime256v1 was. */
function secp256k1(spki: Uint8Array): Uint8Array {
  return Buffer.from(hex(spki).replace("06082a8648ce3d030107", "06052b8104000a050000"), "hex");
}

async function forged(by: Signer, payload: Item): Promise<Buffer> {
  return (await sign1({ spki: by.spki, sign: relier.sign }, "key", payload)).bytes;
}

async function swapped(by: Signer, payload: Item): Promise<Buffer> {
  const signature = (made: Uint8Array) => Buffer.concat([made.subarray(32), made.subarray(0, 32)]);
  return (await sign1(by, "key", payload, { signature })).bytes;
}
