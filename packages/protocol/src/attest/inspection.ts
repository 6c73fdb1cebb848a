/** An appraisal as it goes: checks one after another, until one fails. */
import { Malformed } from "../cbor/bytes.ts";
import type { Technology } from "../entry/verification.ts";
import type { Appraisal, AttestationCheck, AttestationFailure, Attested } from "./appraisal.ts";

/** Evidence that is well formed and not good enough: the check that is being made fails. */
export class Refused extends Error {
  override name = "Refused";
  readonly failure: AttestationFailure;
  constructor(failure: AttestationFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

export class Inspection {
  readonly checks: AttestationCheck[] = [];

  /** Does `look`, which gives what the next steps rest on; what it refuses is a check that failed and the end. */
  async step<T>(name: string, detail: string, look: () => T | Promise<T>): Promise<T> {
    let found: T;
    try {
      found = await look();
    } catch (fault) {
      if (!(fault instanceof Refused || fault instanceof Malformed)) throw fault;
      const failure = fault instanceof Refused ? fault.failure : "malformed";
      this.checks.push({ name, state: "failed", failure, detail: fault.message });
      throw new Stopped();
    }
    this.checks.push({ name, state: "passed", detail });
    return found;
  }

  /** Checks that were made elsewhere; one that failed is the end. */
  add(checks: AttestationCheck[]): void {
    this.checks.push(...checks);
    if (checks.some(({ state }) => state === "failed")) throw new Stopped();
  }

  notChecked(name: string, detail: string): void {
    this.checks.push({ name, state: "not_checked", detail });
  }
}

/** A check failed, which stands among the checks. */
class Stopped extends Error {}

/** Carries out an appraisal. Only what it gives at its end has passed. */
export async function inspect(
  technology: Technology,
  appraise: (inspection: Inspection) => Promise<Attested>,
): Promise<Appraisal> {
  const inspection = new Inspection();
  const { checks } = inspection;
  try {
    return { technology, outcome: "passed", checks, ...(await appraise(inspection)) };
  } catch (fault) {
    const failed = checks.find((check) => check.state === "failed");
    if (!(fault instanceof Stopped) || failed === undefined) throw fault;
    return { technology, outcome: "failed", failure: failed.failure, checks };
  }
}
