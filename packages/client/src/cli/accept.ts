/** Acceptance policies as a person gives them: their JSON, or the file that it is in (docs/policy.md). */
import { type AcceptancePolicy, Malformed, parseAcceptanceText } from "@tallystick/protocol";
import { findFile } from "./home.ts";
import { UsageError } from "./terminal.ts";

export async function readAcceptance(given: string): Promise<AcceptancePolicy> {
  const isJson = given.trimStart().startsWith("{");
  const bytes = isJson ? undefined : await findFile(given);
  if (!isJson && bytes === undefined)
    throw new UsageError(`--accept takes an acceptance policy or a file of one, and there is no ${given}`);
  try {
    return parseAcceptanceText(bytes === undefined ? given : new TextDecoder().decode(bytes));
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new UsageError(`the acceptance policy ${cause.message}: docs/policy.md has all that one may say`, { cause });
  }
}
