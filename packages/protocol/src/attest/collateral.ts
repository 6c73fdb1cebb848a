/**
 * What Intel's provisioning service says beside a quote: TCB info (version 3), the quoting enclave's identity (version 2),
 * and revocation lists (Intel PCS API, version 4). Its signatures are over exact texts, which are kept as they came.
 */
import { parseHex, parseUtf8, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { findJson, isJsonObject, type JsonObject } from "../json/canonical.ts";

/** A text with the signature over its UTF-8 (ECDSA P-256, r ‖ s) and its signer's chain in PEM. */
export type SignedText = { bytes: Uint8Array; text: string; signature: Uint8Array; chain: Uint8Array };

/** One document of collateral, archived beside its quote. */
export type Collateral = {
  tcbInfo: SignedText;
  qeIdentity: SignedText;
  /** Revocation lists in DER: what the root revoked, and what the authority of PCK certificates did. */
  rootCrl: Uint8Array;
  pckCrl: Uint8Array;
};

/** Intel's is some 19 kB, most of it a revocation list that grows. */
const COLLATERAL_SIZE_BYTES = 4 * 1024 * 1024;

/** Reads collateral in the shape in which verifiers exchange it (`tcb_info`, `tcb_info_signature`, …). Throws Malformed. */
export function parseCollateral(bytes: Uint8Array): Collateral {
  if (bytes.length > COLLATERAL_SIZE_BYTES)
    throw new Malformed(`is collateral of more than ${COLLATERAL_SIZE_BYTES} bytes`);
  const document = new Members(findJson(parseUtf8(bytes) ?? ""), "collateral");
  return {
    tcbInfo: signedText(document, "tcb_info"),
    qeIdentity: signedText(document, "qe_identity"),
    rootCrl: document.hex("root_ca_crl"),
    pckCrl: document.hex("pck_crl"),
  };
}

function signedText(document: Members, name: string): SignedText {
  const text = document.text(name);
  const signature = document.hex(`${name}_signature`);
  return { bytes: utf8(text), text, signature, chain: utf8(document.text(`${name}_issuer_chain`)) };
}

/** Members of an object of JSON that came from outside, each read as what it should be. Throws Malformed. */
export class Members {
  readonly #object: JsonObject;
  readonly #name: string;

  constructor(value: unknown, name: string) {
    if (!isJsonObject(value)) throw new Malformed(`has no object of JSON where ${name} is due`);
    this.#object = value;
    this.#name = name;
  }

  has(member: string): boolean {
    return Object.hasOwn(this.#object, member);
  }

  text(member: string): string {
    const value = this.#get(member);
    if (typeof value !== "string") throw this.#malformed(member);
    return value;
  }

  /** Hex in either case, as Intel writes both. */
  hex(member: string): Uint8Array {
    const value = parseHex(this.text(member).toLowerCase());
    if (value === undefined) throw this.#malformed(member);
    return value;
  }

  count(member: string): number {
    const value = this.#get(member);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw this.#malformed(member);
    return value;
  }

  /** Seconds of a time to the second in UTC. */
  seconds(member: string): number {
    const text = this.text(member);
    const timeMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(timeMs)) throw this.#malformed(member);
    return timeMs / 1000;
  }

  object(member: string): Members {
    return new Members(this.#get(member), member);
  }

  objects(member: string): Members[] {
    return this.#list(member).map((value) => new Members(value, member));
  }

  texts(member: string): string[] {
    return this.#list(member).map((value) => {
      if (typeof value !== "string") throw this.#malformed(member);
      return value;
    });
  }

  #list(member: string): unknown[] {
    const value = this.#get(member);
    if (!Array.isArray(value)) throw this.#malformed(member);
    return value;
  }

  #get(member: string): unknown {
    return this.has(member) ? this.#object[member] : undefined;
  }

  #malformed(member: string): Malformed {
    return new Malformed(`has a wrong ${member} in its ${this.#name}`);
  }
}
