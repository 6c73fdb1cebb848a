/** Barretenberg as it is used here: UltraHonk with zero knowledge and the Keccak transcript, which a contract can follow. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { BackendType, Barretenberg } from "@aztec/bb.js";

const SETTINGS = {
  ipaAccumulation: false,
  oracleHashType: "keccak",
  disableZk: false,
  optimizedSolidityVerifier: false,
};
const FIELD_SIZE_BYTES = 32;
const POINT_SIZE_BYTES = 64;

export type Proof = { publicInputs: Uint8Array[]; proof: Uint8Array };
export type Backend = {
  /** Of a program's ACIR. */
  key(bytecode: Uint8Array): Promise<{ verificationKey: Uint8Array; gates: number }>;
  prove(bytecode: Uint8Array, verificationKey: Uint8Array, witness: Uint8Array): Promise<Proof>;
  verify(verificationKey: Uint8Array, proof: Proof): Promise<boolean>;
  solidity(verificationKey: Uint8Array): Promise<string>;
  /** Node does not end before this was called. */
  [Symbol.asyncDispose](): Promise<void>;
};

/** Starts the native prover, or the one in WebAssembly where the binary does not run. The CRS lies in `crsFolder`. */
export async function openBackend(threadCount: number, crsFolder: string): Promise<Backend> {
  try {
    // The native one takes its CRS from the environment alone (CRS_PATH), and fetches there what lacks.
    return createBackend(await Barretenberg.new({ backend: BackendType.NativeUnixSocket, threads: threadCount }));
  } catch {
    return openWasm(threadCount, readPoints(crsFolder, undefined));
  }
}

/** Only verifies, from the first points of the ceremony: what a browser runs, without a network. */
export function openVerifier(g1: Uint8Array, g2: Uint8Array): Promise<Backend> {
  return openWasm(1, { g1, g2 });
}

type Points = { g1: Uint8Array; g2: Uint8Array };

async function openWasm(threadCount: number, { g1, g2 }: Points): Promise<Backend> {
  // Else it would ask the network for a second CRS, of a curve that is not used here.
  const api = await Barretenberg.new({ backend: BackendType.Wasm, threads: threadCount, skipSrsInit: true });
  await api.srsInitSrs({ pointsBuf: g1, numPoints: g1.length / POINT_SIZE_BYTES, g2Point: g2 });
  return createBackend(api);
}

/** The first `count` points of the CRS in `folder`, or all. */
export function readPoints(folder: string, count: number | undefined): Points {
  const path = join(folder, "bn254_g1.dat");
  const g2 = new Uint8Array(readFileSync(join(folder, "bn254_g2.dat")));
  if (count === undefined) return { g1: new Uint8Array(readFileSync(path)), g2 };
  const g1 = new Uint8Array(count * POINT_SIZE_BYTES);
  const file = openSync(path, "r");
  try {
    readSync(file, g1, 0, g1.length, 0);
  } finally {
    closeSync(file);
  }
  return { g1, g2 };
}

function createBackend(api: Barretenberg): Backend {
  return {
    async key(bytecode) {
      const circuit = { name: "circuit", bytecode };
      const { bytes } = await api.circuitComputeVk({ circuit, settings: SETTINGS });
      const { numGates } = await api.circuitStats({
        circuit: { ...circuit, verificationKey: bytes },
        includeGatesPerOpcode: false,
        settings: SETTINGS,
      });
      return { verificationKey: bytes, gates: numGates };
    },
    async prove(bytecode, verificationKey, witness) {
      const circuit = { name: "circuit", bytecode, verificationKey };
      const { publicInputs, proof } = await api.circuitProve({ witness, circuit, settings: SETTINGS });
      return { publicInputs, proof: new Uint8Array(Buffer.concat(proof)) };
    },
    async verify(verificationKey, { publicInputs, proof }) {
      const fields = Array.from({ length: proof.length / FIELD_SIZE_BYTES }, (_, i) =>
        proof.subarray(i * FIELD_SIZE_BYTES, (i + 1) * FIELD_SIZE_BYTES),
      );
      // What is no proof at all it throws at, and what is a false one it calls so: neither is verified.
      return api
        .circuitVerify({ verificationKey, publicInputs, proof: fields, settings: SETTINGS })
        .then(({ verified }) => verified)
        .catch(() => false);
    },
    async solidity(verificationKey) {
      const settings = { ...SETTINGS, optimizedSolidityVerifier: true };
      return (await api.circuitWriteSolidityVerifier({ verificationKey, settings })).solidityCode;
    },
    [Symbol.asyncDispose]: () => api.destroy(),
  };
}

/** The ACIR inside a compiled program. */
export function bytecodeOf({ bytecode }: { bytecode: string }): Uint8Array {
  return new Uint8Array(gunzipSync(Buffer.from(bytecode, "base64")));
}
