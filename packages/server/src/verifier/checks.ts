/** Checks that requesters ask for: of one receipt, by one verifier. In memory: who asked asks again after a restart. */
import { hex, type LotOpening } from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";

export type AskedCheck = {
  receipt: Uint8Array;
  index: number;
  /** What the receipt's requester signed for this verifier. */
  check: Uint8Array;
  /** What opens the receipt, where its requester has that: no node need give it then. */
  opening?: LotOpening;
};

export type Checks = {
  /** Throws conflict where that check is asked for already, rate_limited where too many are. */
  add(verifier: Uint8Array, payer: string, check: AskedCheck): void;
  /** Those for one verifier: each is given once. */
  take(verifier: Uint8Array): AskedCheck[];
};

/** Checks that may wait, of all requesters and of one; their openings together; and how long one waits for its verifier. */
const CHECKS_MOST = 1_000;
const CHECKS_OF_ONE = 16;
const OPENINGS_BYTES = 128 * 1024 * 1024;
const WAIT_MS = 3_600_000;

type Row = { verifier: string; payer: string; check: AskedCheck; sizeBytes: number; sinceMs: number };

export function createChecks(clock: Clock): Checks {
  const rows = new Map<string, Row>();

  return {
    add(verifier, payer, check) {
      for (const [name, { sinceMs }] of rows) if (clock.nowMs() - sinceMs > WAIT_MS) rows.delete(name);
      const name = `${hex(verifier)} ${hex(check.receipt)}`;
      const { call, answer, evidence } = check.opening ?? {};
      const sizeBytes = [call, answer, evidence].reduce((sum, part) => sum + (part?.length ?? 0), 0);
      if (rows.has(name)) throw new ServiceError("conflict", "this check is asked for already: wait for the verifier");
      const own = [...rows.values()].filter((row) => row.payer === payer);
      const heldBytes = [...rows.values()].reduce((sum, row) => sum + row.sizeBytes, 0);
      if (own.length >= CHECKS_OF_ONE || rows.size >= CHECKS_MOST || heldBytes + sizeBytes > OPENINGS_BYTES)
        throw new ServiceError("rate_limited", "too many checks wait for their verifiers: ask again in a minute");
      rows.set(name, { verifier: hex(verifier), payer, check, sizeBytes, sinceMs: clock.nowMs() });
    },

    take(verifier) {
      const id = hex(verifier);
      const own = [...rows].filter(([, row]) => row.verifier === id);
      for (const [name] of own) rows.delete(name);
      return own.map(([, { check }]) => check);
    },
  };
}
