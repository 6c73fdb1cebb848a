/** What proving may take on this machine. */
const MIB = 1024 * 1024;

export const PROVING_LIMITS = {
  /** A lane's child with the prover that it started: the compiler needs some 500 MiB, the prover less. */
  memoryBytes: 1024 * MIB,
  heapBytes: 512 * MIB,
  compileTimeoutMs: 180_000,
  proveTimeoutMs: 120_000,
  verifyTimeoutMs: 20_000,
  /** Requests that wait for a lane. */
  pending: 256,
  /** A child that has had nothing to do for so long gives its memory back. */
  idleMs: 60_000,
  threadCount: 2,
  /** Gates of a program where no CRS is here that would say it: bb fetches one this large. */
  fetchedGates: 131_072,
  /** Compiled programs that are kept on disk, some 100 kB each. */
  programs: 128,
};
export type ProvingLimits = typeof PROVING_LIMITS;
