/** Trust policies (C2SP tlog-policy): which logs are accepted, and which witnesses must have cosigned a checkpoint. */
import { equal, hex, parseUtf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { POLICY_LINES_OF_KIND, POLICY_SIZE_BYTES } from "../limits.ts";
import { type NoteKey, type NoteKeyType, parseNoteKey } from "./note.ts";

export type Policy = { logs: PolicyLog[]; witnesses: PolicyWitness[]; quorum: Quorum };
export type PolicyLog = { key: NoteKey; url?: string };
/** A witness; `name` is known inside its policy only, and is not the name of its key. */
export type PolicyWitness = { name: string; key: NoteKey; url?: string };

/** What has to have cosigned: nobody, or a member. */
export type Quorum = { kind: "none" } | QuorumMember;
/** One witness, or `threshold` of the members of a group. */
export type QuorumMember =
  | { kind: "witness"; witness: PolicyWitness }
  | { kind: "group"; threshold: number; members: QuorumMember[] };

/** Whether those whose cosignatures hold are a quorum. */
export function isQuorum(quorum: Quorum, cosigned: (key: NoteKey) => boolean): boolean {
  if (quorum.kind === "none") return true;
  if (quorum.kind === "witness") return cosigned(quorum.witness.key);
  return quorum.members.filter((member) => isQuorum(member, cosigned)).length >= quorum.threshold;
}

/** The types of key that sign as a log and as a witness. */
const LOG_TYPES: readonly NoteKeyType[] = ["ed25519"];
const WITNESS_TYPES: readonly NoteKeyType[] = ["cosignature", "ml-dsa-44"];

/** Reads a policy. Throws Malformed, naming the line. */
export function parsePolicy(bytes: Uint8Array): Policy {
  if (bytes.length > POLICY_SIZE_BYTES)
    throw new Malformed(`is a policy of ${bytes.length} bytes; at most ${POLICY_SIZE_BYTES} are allowed`);
  const lines = octetsOf(bytes).split("\n");
  const last = lines.pop(); // Each line ends with a newline, so nothing is left after the last.
  const reader = new PolicyReader();
  for (const [i, line] of lines.entries()) atLine(i + 1, () => reader.read(line));
  if (last !== "") throw new Malformed(`has no newline at the end of line ${lines.length + 1}`);
  return reader.finish();
}

/** Runs `read`; what is malformed is so in line `number`. */
function atLine(number: number, read: () => void): void {
  try {
    read();
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new Malformed(`has a line ${number} that ${cause.message}`, { cause });
  }
}

class PolicyReader {
  readonly #logs: PolicyLog[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  /** Witnesses and groups by name, in octets. */
  readonly #defined = new Map<string, QuorumMember>();
  readonly #listed = new Set<string>();
  #groupCount = 0;
  #quorum: Quorum | undefined;

  read(line: string): void {
    const stray = /[^\t\x20-\x7e\x80-\xff]/.exec(line)?.[0];
    if (stray !== undefined) throw new Malformed(`has the octet 0x${hex(bytesOf(stray))}, which no policy may have`);
    const [keyword, ...items] = line.split(/[\t ]+/).filter((item) => item !== "");
    if (keyword === undefined || keyword.startsWith("#")) return;
    if (keyword === "log") this.#readLog(items);
    else if (keyword === "witness") this.#readWitness(items);
    else if (keyword === "group") this.#readGroup(items);
    else if (keyword === "quorum") this.#readQuorum(items);
    else throw new Malformed("begins with none of log, witness, group, quorum");
  }

  finish(): Policy {
    if (this.#quorum === undefined) throw new Malformed("has no quorum line");
    return { logs: this.#logs, witnesses: this.#witnesses, quorum: this.#quorum };
  }

  #readLog([vkey, url, ...rest]: string[]): void {
    if (vkey === undefined || rest.length > 0) throw new Malformed("is not: log <vkey> [<url>]");
    const key = keyOf(vkey, LOG_TYPES, this.#logs);
    checkCount("logs", this.#logs.push(url === undefined ? { key } : { key, url: textOf(url) }));
  }

  #readWitness([name, vkey, url, ...rest]: string[]): void {
    if (name === undefined || vkey === undefined || rest.length > 0)
      throw new Malformed("is not: witness <name> <vkey> [<url>]");
    const named = { name: textOf(name), key: keyOf(vkey, WITNESS_TYPES, this.#witnesses) };
    const witness = url === undefined ? named : { ...named, url: textOf(url) };
    this.#define(name, { kind: "witness", witness });
    checkCount("witnesses", this.#witnesses.push(witness));
  }

  #readGroup([name, count, ...names]: string[]): void {
    if (name === undefined || count === undefined || names.length === 0)
      throw new Malformed("is not: group <name> <all|any|k> <name>...");
    const threshold = thresholdOf(count, names.length);
    const members = names.map((member) => this.#listMember(member));
    this.#define(name, { kind: "group", threshold, members });
    checkCount("groups", ++this.#groupCount);
  }

  /** Each name is a member once at most, so that a witness counts in one way only. */
  #listMember(name: string): QuorumMember {
    const member = this.#find(name);
    if (this.#listed.has(name)) throw new Malformed(`lists ${shown(name)}, which is a member of a group already`);
    this.#listed.add(name);
    return member;
  }

  #readQuorum([name, ...rest]: string[]): void {
    if (name === undefined || rest.length > 0) throw new Malformed("is not: quorum <name>");
    if (this.#quorum !== undefined) throw new Malformed("is a second quorum line");
    this.#quorum = name === "none" ? { kind: "none" } : this.#find(name);
  }

  #find(name: string): QuorumMember {
    const member = this.#defined.get(name);
    if (member === undefined) throw new Malformed(`names ${shown(name)}, which no line before it defines`);
    return member;
  }

  #define(name: string, member: QuorumMember): void {
    if (name === "none") throw new Malformed("defines none, which is the name of no quorum at all");
    if (this.#defined.has(name)) throw new Malformed(`defines ${shown(name)} a second time`);
    this.#defined.set(name, member);
  }
}

function checkCount(kind: string, count: number): void {
  if (count > POLICY_LINES_OF_KIND)
    throw new Malformed(`is one too many: a policy has at most ${POLICY_LINES_OF_KIND} ${kind}`);
}

/** The key of `vkey`, which none of `others` has, whatever its name. */
function keyOf(vkey: string, types: readonly NoteKeyType[], others: readonly { key: NoteKey }[]): NoteKey {
  const text = parseUtf8(bytesOf(vkey));
  if (text === undefined) throw new Malformed("has a vkey that is not UTF-8");
  let key: NoteKey;
  try {
    key = parseNoteKey(text);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new Malformed(`has a vkey that ${cause.message}`, { cause });
  }
  if (!types.includes(key.type))
    throw new Malformed(`has a key of type ${key.type} where ${types.join(" or ")} is due`);
  if (others.some((other) => equal(other.key.publicKey, key.publicKey)))
    throw new Malformed("has a public key that a line before it has");
  return key;
}

function thresholdOf(count: string, memberCount: number): number {
  if (count === "all") return memberCount;
  if (count === "any") return 1;
  const threshold = /^[1-9][0-9]*$/.test(count) ? Number(count) : 0;
  if (threshold < 1 || threshold > memberCount)
    throw new Malformed(`has a threshold that is not all, any, or a number from 1 to ${memberCount}`);
  return threshold;
}

/** `bytes`, a character an octet: what is compared is octets, whatever they spell. */
function octetsOf(bytes: Uint8Array): string {
  let octets = "";
  for (const byte of bytes) octets += String.fromCharCode(byte);
  return octets;
}

function bytesOf(octets: string): Uint8Array {
  return Uint8Array.from(octets, (octet) => octet.charCodeAt(0));
}

/** What people read: UTF-8 is recommended and not required, so other octets stay as they are. */
function textOf(octets: string): string {
  return parseUtf8(bytesOf(octets)) ?? octets;
}

function shown(name: string): string {
  return JSON.stringify(textOf(name));
}
