/** DNS, of which only the texts at a name are asked. */
import { Resolver } from "node:dns/promises";

/** The texts of the TXT records at a name, none where it has none. Rejects where nobody who knows could be asked. */
export type ResolveTexts = (name: string) => Promise<string[]>;

const TIMEOUT_MS = 2_000;
const TRIES = 2;

/** Asks the resolvers of this machine. */
export const resolveTexts: ResolveTexts = async (name) => {
  try {
    const records = await new Resolver({ timeout: TIMEOUT_MS, tries: TRIES }).resolveTxt(name);
    return records.map((parts) => parts.join(""));
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOTFOUND" || error.code === "ENODATA"))
      return [];
    throw error;
  }
};
