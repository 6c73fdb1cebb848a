/** How far an audit got that was cut short, kept in its user's home: the next one of that log goes on from there. */
import { rm } from "node:fs/promises";
import { hex, parseHex, RULES } from "@tallystick/protocol";
import type { Progress, ProgressStore } from "../audit/walk.ts";
import { fieldOf } from "../http.ts";
import { findFile, type Home, writePrivately } from "./home.ts";
import type { LogKey } from "./networks.ts";

/** A few seconds of an audit. */
const BUNDLES_BETWEEN_KEEPS = 64;

/** What an audit got to by this log's key and by these rules. `forget` when there is nothing to go on with. */
export function openProgress(
  { auditPath }: Home,
  origin: string,
  { vkey }: LogKey,
): ProgressStore & { forget(): Promise<void> } {
  const path = auditPath(origin);
  const bound = { vkey, rules: RULES };
  return {
    everyBundles: BUNDLES_BETWEEN_KEEPS,
    async find() {
      const bytes = await findFile(path);
      return bytes === undefined ? undefined : readProgress(new TextDecoder().decode(bytes), bound);
    },
    keep: ({ size, root, bad }) =>
      writePrivately(path, `${JSON.stringify({ ...bound, size, root: hex(root), bad })}\n`),
    forget: () => rm(path, { force: true }),
  };
}

/** Undefined where it is damaged, or of another key or other rules: then the audit begins anew. */
function readProgress(text: string, bound: { vkey: string; rules: string }): Progress | undefined {
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const [vkey, rules, size, root, bad] = ["vkey", "rules", "size", "root", "bad"].map((key) => fieldOf(kept, key));
  const hash = typeof root === "string" ? parseHex(root) : undefined;
  const isBound = vkey === bound.vkey && rules === bound.rules;
  if (!isBound || !isIndex(size) || hash?.length !== 32 || !Array.isArray(bad) || !bad.every(isIndex)) return undefined;
  return { size, root: hash, bad };
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
