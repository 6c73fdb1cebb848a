/**
 * Verifies proofs where the requester is, in Node or a browser, without a network: Barretenberg in WebAssembly with the two
 * points of the ceremony that verifying takes. Wants `@aztec/bb.js`.
 */
import { BackendType, Barretenberg } from "@aztec/bb.js";
import { type Check, ceremonyPoints, checkProof, equal, type ProofQuestion, sha256 } from "@tallystick/protocol";

export type ProofVerifier = {
  /**
   * Every check of a proof. The verification key may come from anybody: it has to be the one that the manifest names. That
   * the manifest names the key of its own circuit shows only who compiles that circuit: a verifier does, before it says
   * `passed`, and so does a network that gives the key.
   */
  verify(question: ProofQuestion & { verificationKey: Uint8Array }): Promise<Check[]>;
  [Symbol.asyncDispose](): Promise<void>;
};

const SETTINGS = {
  ipaAccumulation: false,
  oracleHashType: "keccak",
  disableZk: false,
  optimizedSolidityVerifier: false,
};

/** Starts the verifier: some 60 MB of memory, until it is disposed of. */
export async function openProofVerifier(): Promise<ProofVerifier> {
  const { g1, g2 } = ceremonyPoints();
  const api = await Barretenberg.new({ backend: BackendType.Wasm, threads: 1, skipSrsInit: true });
  await api.srsInitSrs({ pointsBuf: g1, numPoints: g1.length / 64, g2Point: g2 });
  return {
    async verify({ verificationKey, ...question }) {
      const { checks, claim } = checkProof(question);
      if (claim === undefined) return checks;
      const name = "proof";
      if (claim.calls !== 1)
        return [
          ...checks,
          { name, state: "not_checked", detail: "a proof of several calls has a key that no manifest names" },
        ];
      if (!equal(sha256(verificationKey), question.manifest.circuit?.verificationKey ?? new Uint8Array(0)))
        return [
          ...checks,
          { name, state: "failed", failure: "bad_proof", detail: "the verification key is not the revision's" },
        ];
      const { publicInputs, proof } = claim;
      const fields = Array.from({ length: proof.length / 32 }, (_, i) => proof.subarray(32 * i, 32 * i + 32));
      // What is no proof at all it throws at, and what is a false one it calls so: neither is verified.
      const isValid = await api
        .circuitVerify({ verificationKey, publicInputs, proof: fields, settings: SETTINGS })
        .then(({ verified }) => verified)
        .catch(() => false);
      return isValid
        ? [
            ...checks,
            { name, state: "passed", detail: "the proof holds, by the key that the revision names for its circuit" },
          ]
        : [...checks, { name, state: "failed", failure: "bad_proof", detail: "the proof does not hold" }];
    },
    [Symbol.asyncDispose]: () => api.destroy(),
  };
}
