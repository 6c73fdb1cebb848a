/** The keys of nodes: what an answer's receipt is signed by, each with the entry of the log that enrols it. */
import {
  type Check,
  equal,
  followHandovers,
  hex,
  type LogTrust,
  parseEntry,
  proves,
  type ReceiptFile,
  verifyCheckpoint,
  verifySigned,
} from "@tallystick/protocol";
import type { Edges } from "./edges.ts";
import { orUnverified, UnverifiedError } from "./errors.ts";
import type { Http } from "./http.ts";
import { fetchReceiptFile } from "./receipt-files.ts";

/** A key by which a node signs, and what was found out about its enrolment. */
export type NodeKey = { spki: Uint8Array; name: string; enrolment: Check };

export type NodeKeys = {
  /** The key of this id, where it was met before. */
  findKnown(keyId: Uint8Array): NodeKey | undefined;
  /** The key that signed `receiptId`. Throws UnverifiedError where it is not shown to be a node's. */
  get(keyId: Uint8Array, receiptId: string): Promise<NodeKey>;
};

/** More nodes than a network has; who asks for more is shown keys without end. */
const KEYS_KEPT = 1_024;

/** Keys as the receipt files of a network name them, each asked for once. `trust` is the caller's own knowledge of the log. */
export function createNodeKeys(http: Http, edges: Edges, trust: LogTrust | undefined): NodeKeys {
  const known = new Map<string, NodeKey>();
  const asked = new Map<string, Promise<NodeKey>>();

  async function ask(keyId: Uint8Array, receiptId: string): Promise<NodeKey> {
    const isEnough = ({ parts }: ReceiptFile) => trust === undefined || parts.node.proof !== undefined;
    const key = await nodeKeyIn(await fetchReceiptFile(http, edges, receiptId, isEnough), keyId, trust);
    if (trust !== undefined && key.enrolment.state !== "passed") return key; // The next answer asks again.
    if (known.size >= KEYS_KEPT) known.clear();
    known.set(hex(keyId), key);
    return key;
  }

  return {
    findKnown: (keyId) => known.get(hex(keyId)),

    async get(keyId, receiptId) {
      const name = hex(keyId);
      const met = known.get(name);
      if (met !== undefined) return met;
      const asking = asked.get(name) ?? ask(keyId, receiptId).finally(() => asked.delete(name));
      asked.set(name, asking);
      return asking;
    },
  };
}

async function nodeKeyIn(file: ReceiptFile, keyId: Uint8Array, trust: LogTrust | undefined): Promise<NodeKey> {
  const { bytes } = file.parts.node;
  const { kind, says, signed } = orUnverified("the entry of the node's key", () => parseEntry(bytes));
  if (kind !== "key" || says.action !== "enrol" || says.role !== "node" || !equal(signed.keyId, keyId))
    throw new UnverifiedError("the key that signed the receipt is not one that the network enrolled as a node's");
  if (!(await verifySigned(signed, says.spki)))
    throw new UnverifiedError("the enrolment of the node's key is not signed by that key");
  const { spki, name } = says;
  return { spki, name, enrolment: await checkEnrolment(file, name, trust) };
}

const CHECKED = "node enrolment";

/** That the node's key is in the log. With `trust` that is proved or nothing is: else a network could leave the proof out. */
async function checkEnrolment(
  { parts, handovers }: ReceiptFile,
  name: string,
  trust: LogTrust | undefined,
): Promise<Check> {
  if (trust === undefined)
    return {
      name: CHECKED,
      state: "not_checked",
      detail: `that "${name}" is a node is the network's word: no key of its log was given (trust)`,
    };
  const { bytes, proof } = parts.node;
  if (proof === undefined) throw new UnverifiedError("the network does not prove that the node's key is in its log");
  if (!proves(proof, bytes)) throw new UnverifiedError("the node's key is not where in the log its proof says");
  const verified = await verifyCheckpoint(proof.checkpoint, await followHandovers(trust, handovers));
  // As with a receipt: what its witnesses have yet to see is no fault, and no proof either.
  if (!verified.ok && verified.failure === "not_cosigned" && trust.policy !== undefined)
    return {
      name: CHECKED,
      state: "not_checked",
      detail: "its witnesses have not cosigned the checkpoint over the key",
    };
  if (!verified.ok) throw new UnverifiedError(`the checkpoint over the node's key: ${verified.failure}`);
  return {
    name: CHECKED,
    state: "passed",
    detail: `the key of "${name}" is entry ${proof.index} of the log ${trust.origin}`,
  };
}
