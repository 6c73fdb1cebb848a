/** A chain of one's own on a free port: anvil, and as much of JSON-RPC and of the contract ABI as is needed here. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { concat, fieldBytes, hex, utf8 } from "@tallystick/protocol";

/** How often it is asked whether a transaction is in a block, and the pause between. */
const RECEIPT_TRIES = 300;
const RECEIPT_STEP_MS = 100;

export type Chain = {
  /** Deploys, and gives the address. */
  deploy(bytecode: string, ...words: Uint8Array[]): Promise<{ address: string; gas: number }>;
  /** Calls without a transaction. Throws where it reverts. */
  call(to: string, data: Uint8Array): Promise<string>;
  estimateGas(to: string, data: Uint8Array): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The binary of anvil for this machine, or undefined where npm has none for it. */
export function findAnvil(): string | undefined {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  try {
    const manifest = createRequire(import.meta.url).resolve(
      `@foundry-rs/anvil-${process.platform}-${arch}/package.json`,
    );
    return join(dirname(manifest), "bin", "anvil");
  } catch {
    return undefined;
  }
}

/** Starts anvil, and waits until it says where it listens. */
export async function startChain(binary: string): Promise<Chain> {
  const child = spawn(binary, ["--port", "0", "--hardfork", "prague"], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await listeningAt(createInterface({ input: child.stdout }));
  child.stdout.resume();
  const [from] = await ask<string[]>(url, "eth_accounts", []);

  return {
    async deploy(bytecode, ...words) {
      const data = `0x${bytecode}${words.map(hex).join("")}`;
      const hash = await ask<string>(url, "eth_sendTransaction", [{ from, data, gas: "0x1c9c380" }]);
      const receipt = await receiptOf(url, hash);
      if (receipt.status !== "0x1") throw new Error("the contract was not deployed");
      return { address: receipt.contractAddress, gas: Number(receipt.gasUsed) };
    },
    call: (to, data) => ask<string>(url, "eth_call", [{ from, to, data: `0x${hex(data)}` }, "latest"]),
    estimateGas: async (to, data) =>
      Number(await ask<string>(url, "eth_estimateGas", [{ from, to, data: `0x${hex(data)}` }])),
    async [Symbol.asyncDispose]() {
      child.kill();
      await gone;
    },
  };
}

async function listeningAt(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const [, address] = /^Listening on (\S+)/.exec(line) ?? [];
    if (address !== undefined) return `http://${address}`;
  }
  throw new Error("anvil ended before it listened");
}

type Receipt = { status: string; contractAddress: string; gasUsed: string };

/** A transaction is in a block a moment after it was taken. */
async function receiptOf(url: string, hash: string): Promise<Receipt> {
  for (let tries = 0; tries < RECEIPT_TRIES; tries++) {
    const receipt = await ask<Receipt | null>(url, "eth_getTransactionReceipt", [hash]);
    if (receipt !== null) return receipt;
    await setTimeout(RECEIPT_STEP_MS);
  }
  throw new Error(`no block has the transaction ${hash}`);
}

async function ask<T>(url: string, method: string, params: unknown[]): Promise<T> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result, error }: { result: T; error?: { message: string } } = await answer.json();
  if (error !== undefined) throw new Error(error.message);
  return result;
}

/** The call data of ProvedAnswer's one function. */
export function encodeRequireProved(
  proof: Uint8Array,
  receiptId: Uint8Array,
  input: Uint8Array,
  outputs: readonly Uint8Array[],
): Uint8Array {
  const selector = keccak_256(utf8("requireProved(bytes,bytes32,bytes32,bytes32[])")).subarray(0, 4);
  const padded = concat(proof, new Uint8Array((32 - (proof.length % 32)) % 32));
  const word = (value: number) => fieldBytes(BigInt(value));
  const head = [word(4 * 32), receiptId, input, word(4 * 32 + 32 + padded.length)];
  return concat(selector, ...head, word(proof.length), padded, word(outputs.length), ...outputs);
}
