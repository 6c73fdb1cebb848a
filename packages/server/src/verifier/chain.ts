/** A verifier's hash chains: what it reveals for the lots, one value before the other (docs/spec/lot.md). */
import { readFile } from "node:fs/promises";
import { hex, keyOf, parseHex, sha256 } from "@tallystick/protocol";
import { OperatorError, systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";
import type { Random } from "../platform/random.ts";

/** Reveals of one chain: at an epoch each ten seconds, a week of them. */
export const CHAIN_LENGTH = 65_536;
/** Every so many values one is kept, from which those behind it are hashed again. */
const STRIDE = 256;

export type Chain = {
  /** What it commits to: the secret, hashed `length` times. */
  anchor: Uint8Array;
  length: number;
  /** The value whose hash is `value`; undefined where that is the secret itself, or not of this chain. */
  before(value: Uint8Array): Uint8Array | undefined;
};

export function createChain(secret: Uint8Array, length: number): Chain {
  const kept: Uint8Array[] = [];
  let value = secret;
  for (let i = 0; i < length; i++) {
    if (i % STRIDE === 0) kept.push(value);
    value = sha256(value);
  }
  const anchor = value;
  /** The stretch that was looked at last: what a value is the hash of. */
  let stretch = new Map<string, Uint8Array>();

  function look(number: number): void {
    stretch = new Map();
    let last = kept[number] ?? anchor;
    for (let i = number * STRIDE; i < Math.min(length, (number + 1) * STRIDE); i++) {
      const next = sha256(last);
      stretch.set(keyOf(next), last);
      last = next;
    }
  }

  return {
    anchor,
    length,
    before(wanted) {
      const name = keyOf(wanted);
      // The next one asked for is in the same stretch or the one before; after a restart it may be anywhere.
      for (let number = kept.length - 1; number >= 0 && !stretch.has(name); number--) look(number);
      return stretch.get(name);
    },
  };
}

/** The chains that are kept in `path`, the one made last at the end. Throws an OperatorError where they are damaged. */
export async function readChains(path: string): Promise<Chain[]> {
  return (await readLines(path)).map((line) => {
    const [secretHex = "", length = ""] = line.split(" ");
    const secret = parseHex(secretHex);
    if (secret?.length !== 32 || !/^[1-9][0-9]{0,6}$/.test(length))
      throw new OperatorError(`${path} is no hash chain: remove it, and another is made and committed to`);
    return createChain(secret, Number(length));
  });
}

/**
 * Makes a chain and keeps it, durably: nothing may be committed to that could be lost. The one before is kept with it, on which
 * lots rest yet.
 */
export async function makeChain(path: string, random: Random, length: number = CHAIN_LENGTH): Promise<Chain> {
  const secret = random(32);
  const kept = (await readLines(path)).slice(-1);
  await writeDurably(path, [...kept, `${hex(secret)} ${length}`, ""].join("\n"), 0o600);
  return createChain(secret, length);
}

async function readLines(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  });
  return text.split("\n").filter((line) => line !== "");
}
