/** What appraising hardware evidence says (docs/spec/attestation.md): each check with its outcome, and what was measured. */
import { sha256 } from "#platform";
import { equal } from "../bytes.ts";
import { CborWriter, MAJOR, Malformed } from "../cbor/bytes.ts";
import type { Technology } from "../entry/verification.ts";
import type { Check } from "../verdict.ts";

/** Why evidence is not accepted. Each is explained in docs/spec/attestation.md. */
export type AttestationFailure =
  | "malformed"
  | "unknown_root"
  | "bad_chain"
  | "bad_signature"
  | "not_valid_now"
  | "revoked"
  | "wrong_binding"
  | "wrong_platform"
  | "debug"
  | "out_of_date";

export type AttestationCheck = Check<AttestationFailure>;

/** A register that the hardware measured, by its number. */
export type Registers = ReadonlyMap<number, Uint8Array>;

/** What evidence, genuine and bound as it should be, is evidence of. */
export type Attested = {
  registers: Registers;
  /** SHA-256 over the registers: what a `reference` approves. */
  measurement: Uint8Array;
  /** What the attested code put into the evidence. */
  reportData: Uint8Array;
  /** SHA-256 of the vendor root's certificate. */
  root: Uint8Array;
  /** The first second at which some certificate or collateral no longer holds, less one. */
  notAfterSeconds: number;
};

/** The outcome of appraising. What evidence says is only to be had together with the verdict that it holds. */
export type Appraisal = { technology: Technology; checks: AttestationCheck[] } & (
  | ({ outcome: "passed" } & Attested)
  | { outcome: "failed"; failure: AttestationFailure }
);

/** What the appraiser holds evidence to. */
export type Expected = {
  /** What the report data must begin with; what follows it must be zeros. */
  reportData?: Uint8Array;
  /** The nonce of the evidence's own format, where it has one: Nitro, Hopper. */
  nonce?: Uint8Array;
};

/** Runs an appraisal that adds to `checks`. What does not parse is a failed check; a failed check is a failed appraisal. */
export async function conclude(
  technology: Technology,
  appraise: (checks: AttestationCheck[]) => Promise<Attested>,
): Promise<Appraisal> {
  const checks: AttestationCheck[] = [];
  let attested: Attested | undefined;
  try {
    attested = await appraise(checks);
  } catch (fault) {
    if (!(fault instanceof Malformed)) throw fault;
    checks.push({ name: "form", state: "failed", failure: "malformed", detail: `what was given ${fault.message}` });
  }
  for (const check of checks)
    if (check.state === "failed") return { technology, outcome: "failed", failure: check.failure, checks };
  if (attested === undefined) throw new Error("an appraisal without a failed check says what is attested");
  return { technology, outcome: "passed", checks, ...attested };
}

/** A check that passed, or failed by what is at fault. */
export function judge(
  name: string,
  failure: AttestationFailure,
  fault: string | false | undefined,
  detail: string,
): AttestationCheck {
  if (fault === undefined || fault === false) return { name, state: "passed", detail };
  return { name, state: "failed", failure, detail: fault };
}

/** Whether the evidence was made for what is expected: its report data begins with it and goes on in zeros. */
export function checkBinding(expected: Uint8Array | undefined, reportData: Uint8Array): AttestationCheck {
  const name = "binding";
  if (expected === undefined) return { name, state: "not_checked", detail: "nothing is expected of the report data" };
  const isBound =
    expected.length > 0 &&
    equal(reportData.subarray(0, expected.length), expected) &&
    reportData.subarray(expected.length).every((byte) => byte === 0);
  const fault = !isBound && "the report data is not what the evidence was asked to bind";
  return judge(name, "wrong_binding", fault, "the report data binds the keys and the nonce that are expected");
}

/** SHA-256 of the registers as a map in deterministic CBOR, in ascending order of their numbers. */
export function measurementOf(registers: Registers): Uint8Array {
  const writer = new CborWriter();
  const rows = [...registers].toSorted(([a], [b]) => a - b);
  writer.head(MAJOR.map, rows.length);
  for (const [number, value] of rows) {
    writer.head(MAJOR.uint, number);
    writer.bytes(value);
  }
  return sha256(writer.finish());
}
