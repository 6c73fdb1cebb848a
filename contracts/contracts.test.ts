/** Proofs on a real chain: the contract accepts what the circuit gave, and reverts at everything else. */
import { fieldBytes, parseHex, parseProofEvidence, sha256 } from "@tallystick/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openProver, type Prover } from "../packages/server/src/proving/prover.ts";
import {
  CRS_FOLDER,
  callOf,
  FIXTURE_NAMES,
  fixtureRevision,
  PROGRAMS_FOLDER,
  PROVING_TIMEOUT_MS,
  WEIGHTS_SALT,
} from "../test/proving.ts";
import { type Chain, encodeRequireProved, findAnvil, startChain } from "./anvil.ts";
import { compileProvedAnswer, VERIFIER } from "./build.ts";
import { compileSolidity } from "./compile.ts";

const anvil = findAnvil();
const lacking = anvil === undefined ? "no anvil for this machine" : CRS_FOLDER === undefined ? "no CRS" : undefined;

describe.skipIf(lacking !== undefined)(
  lacking === undefined ? "on anvil" : `skipped: ${lacking}`,
  { timeout: PROVING_TIMEOUT_MS },
  () => {
    let chain: Chain;
    let prover: Prover;
    beforeAll(async () => {
      chain = await startChain(anvil ?? "");
      prover = await openProver({ folder: PROGRAMS_FOLDER, crsPath: CRS_FOLDER });
    });
    afterAll(async () => {
      await prover?.[Symbol.asyncDispose]();
      await chain?.[Symbol.asyncDispose]();
    });

    test.each(FIXTURE_NAMES)(
      "%s: the contract accepts the proof, and reverts at each public input that is another",
      async (name) => {
        const revision = await fixtureRevision(prover, name);
        const { bytecode, deployedSizeBytes } = compileSolidity(VERIFIER, await prover.solidity(revision, 1));
        expect(deployedSizeBytes).toBeLessThan(24_576); // EIP-170.
        const verifier = await chain.deploy(bytecode);
        const { weights } = revision.manifest.circuit;
        const answer = await deployAnswer(chain, verifier.address, weights);
        const [bytes = new Uint8Array(0)] = await prover.prove(revision, WEIGHTS_SALT, [callOf(revision, 1)]);
        const { calls, proof } = parseProofEvidence(bytes);
        const [call] = calls;
        if (call === undefined) throw new Error("nothing was proved");
        const outputs = call.outputs.map(fieldBytes);
        const { receipt, input } = call;
        await chain.call(answer, encodeRequireProved(proof, receipt, input, outputs));
        const tampered: Record<string, Parameters<typeof encodeRequireProved>> = {
          "another receipt, its upper half": [proof, flip(receipt, 0), input, outputs],
          "another receipt, its lower half": [proof, flip(receipt, 31), input, outputs],
          "another input": [proof, receipt, flip(input, 31), outputs],
          "another output": [proof, receipt, input, call.outputs.map((value) => fieldBytes(value + 1n))],
          "an output more": [proof, receipt, input, [...outputs, fieldBytes(0n)]],
          "no output": [proof, receipt, input, []],
          "another proof": [flip(proof, 32 * 20 + 31), receipt, input, outputs],
          "a proof cut short": [proof.subarray(32), receipt, input, outputs],
        };
        for (const [what, given] of Object.entries(tampered))
          await expect(chain.call(answer, encodeRequireProved(...given)), what).rejects.toThrow(/revert/i);
        const other = await deployAnswer(chain, verifier.address, fieldBytes(1n));
        await expect(chain.call(other, encodeRequireProved(proof, receipt, input, outputs))).rejects.toThrow(/revert/i);
        // docs/spec and the README name what it costs: some 0.8 million.
        expect(await chain.estimateGas(answer, encodeRequireProved(proof, receipt, input, outputs))).toBeLessThan(
          900_000,
        );
      },
    );
  },
);

async function deployAnswer(chain: Chain, verifier: string, weights: Uint8Array): Promise<string> {
  const address = parseHex(verifier.slice(2)) ?? sha256();
  const padded = new Uint8Array(32);
  padded.set(address, 12);
  return (await chain.deploy(compileProvedAnswer().bytecode, padded, weights)).address;
}

const flip = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
