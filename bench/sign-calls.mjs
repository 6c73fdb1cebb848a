/** A worker that signs the calls of a long log: the grants of its sessions first, then batches of receipts, as bundles. */
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import {
  commit,
  encodeBundle,
  keyId,
  possessionMessage,
  sha256,
  signAuthorization,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";

const { origin, gateway, node, revisions, sessionCount, receiptCount, batchLength, expiry } = workerData;

function signerOf(privateKey) {
  const spki = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" };
  return { spki, sign: async (message) => new Uint8Array(sign("sha256", message, key)) };
}

const [gatewaySigner, nodeSigner] = [signerOf(gateway), signerOf(node)];
const profile = { runtime: "bench@1.0.0", binary: sha256(utf8("bench")), exactness: "exact" };

async function grant() {
  const key = signerOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
  const terms = { origin, gateway: keyId(gatewaySigner.spki), sessionKey: key.spki };
  const entry = await signEntry(gatewaySigner, "grant", {
    version: 1,
    ...terms,
    custody: "account",
    payerTag: new Uint8Array(randomBytes(16)),
    tagMode: "stable",
    budget: 0n,
    paymentClass: "free",
    expiry,
    possession: await key.sign(possessionMessage(terms)),
  });
  return { entry: entry.signed.bytes, key, session: signedId(entry.signed), nonce: 0 };
}

/** The payers call in turn, each its own model for a while: what one asks next is mostly what it asked last. */
async function receipt(sessions, sequence) {
  const place = sequence % sessions.length;
  const session = sessions[place];
  const nonce = session.nonce++;
  const authorization = await signAuthorization(session.key, {
    version: 1,
    session: session.session,
    nonce,
    revision: revisions[(place + (nonce >> 6)) % revisions.length],
    request: commit("request", new Uint8Array(randomBytes(32)), utf8(`request ${sequence}`)),
    tier: "signed",
    maxPrice: 0n,
    expiry,
    openness: "none",
    traffic: "production",
    decision: new Uint8Array(randomBytes(16)),
  });
  const { signed } = await signEntry(nodeSigner, "receipt", {
    version: 1,
    authorization: authorization.signed.bytes,
    status: "ok",
    profile,
    response: commit("response", new Uint8Array(randomBytes(32)), utf8(`answer ${sequence}`)),
    units: 1,
    price: 0n,
    provenance: "executed",
    sequence,
  });
  return signed.bytes;
}

function send(entries) {
  const bundle = encodeBundle(entries);
  parentPort.postMessage({ bundle, count: entries.length }, [bundle.buffer]);
}

/** One batch for each time it is asked, so that none pile up. */
const asked = () => new Promise((resolve) => parentPort.once("message", resolve));

const sessions = [];
for (let i = 0; i < sessionCount; i++) sessions.push(await grant());
await asked();
send(sessions.map(({ entry }) => entry));
for (let sequence = 0; sequence < receiptCount; ) {
  const batch = [];
  while (batch.length < batchLength && sequence < receiptCount) batch.push(await receipt(sessions, sequence++));
  await asked();
  send(batch);
}
parentPort.close();
