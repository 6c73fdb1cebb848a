/** A witness's word on a log (C2SP tlog-witness, "get-checkpoint"), held to what the log serves here. */
import { hex, type LogTrust, Malformed, NOTE_SIZE_BYTES, parseCheckpoint, sha256, utf8 } from "@tallystick/protocol";
import type { LogSource } from "../audit/source.ts";
import type { Edges } from "../edges.ts";
import { IncompleteLogError, RefusedError, UnreachableError, WrongTileError } from "../errors.ts";
import { createHttp } from "../http.ts";
import { type Alarm, contradictionOf, type SignedCheckpoint, wrongTile } from "./alarm.ts";
import type { Accepted } from "./follow.ts";
import { isSignedByLog } from "./head.ts";
import { openTree } from "./tree.ts";

/** What asking a witness gave: it agrees; the log showed it another tree, say; or nothing can be said, for `reason`. */
export type Compared =
  | { outcome: "agrees" }
  | { outcome: "alarm"; alarm: Alarm }
  | { outcome: "unknown"; reason: string };

export type WitnessWatch = {
  url: string;
  /** Holds what the witness cosigned last to `accepted`, which the log in `source` serves. */
  compare(accepted: Accepted, source: LogSource, trust: LogTrust): Promise<Compared>;
};

/** The witness whose monitoring prefix is `url`. */
export function watchWitness(url: string, edges: Pick<Edges, "fetch">): WitnessWatch {
  const http = createHttp(url, edges);
  // What it cosigned of a longer log than was served then: held to the log once that is as long.
  let ahead: SignedCheckpoint | undefined;

  async function ask(origin: string, trust: LogTrust): Promise<SignedCheckpoint | string> {
    try {
      const bytes = await http.bytes(`/${hex(sha256(utf8(origin)))}/checkpoint`, {}, NOTE_SIZE_BYTES);
      const checkpoint = parseCheckpoint(bytes);
      if (!(await isSignedByLog(checkpoint, trust))) return "its checkpoint is not one that the log signed";
      return { checkpoint, bytes };
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) return "it has cosigned nothing of this log";
      if (error instanceof Malformed) return `what it gives ${error.message}`;
      if (error instanceof RefusedError || error instanceof UnreachableError) return error.message;
      throw error;
    }
  }

  return {
    url,
    async compare(accepted, source, trust) {
      if (ahead !== undefined && ahead.checkpoint.size <= accepted.checkpoint.size) {
        const compared = await hold(ahead, accepted, source);
        if (compared.outcome === "alarm") return compared;
        if (compared.outcome === "agrees") ahead = undefined;
      }
      const cosigned = await ask(accepted.checkpoint.origin, trust);
      if (typeof cosigned === "string") return { outcome: "unknown", reason: cosigned };
      const compared = await hold(cosigned, accepted, source);
      if (compared.outcome === "unknown") ahead ??= cosigned;
      return compared;
    },
  };
}

/** Holds the shorter of two trees to the longer one. The log may have tiles that its checkpoint does not cover yet. */
async function hold(cosigned: SignedCheckpoint, accepted: Accepted, source: LogSource): Promise<Compared> {
  const isAhead = cosigned.checkpoint.size > accepted.checkpoint.size;
  try {
    const contradiction = isAhead
      ? await contradictionOf(accepted, cosigned, await openTree(source, cosigned.checkpoint))
      : await contradictionOf(cosigned, accepted, accepted.tree);
    return contradiction === undefined ? { outcome: "agrees" } : split(cosigned, accepted, contradiction.evidence);
  } catch (error) {
    if (error instanceof WrongTileError)
      return isAhead ? split(cosigned, accepted, new Map()) : { outcome: "alarm", alarm: wrongTile(error, accepted) };
    if (!isTrouble(error)) throw error;
    return { outcome: "unknown", reason: `it cosigned ${cosigned.checkpoint.size} entries, of which ${error.message}` };
  }
}

function isTrouble(error: unknown): error is Error {
  return error instanceof IncompleteLogError || error instanceof RefusedError || error instanceof UnreachableError;
}

function split(cosigned: SignedCheckpoint, accepted: Accepted, evidence: Alarm["evidence"]): Compared {
  const proof = evidence.get("consistency-proof");
  const detail = `the log showed a witness another tree of ${cosigned.checkpoint.size} entries than it serves`;
  const files = new Map([
    ["checkpoint-witness", cosigned.bytes],
    ["checkpoint-served", accepted.bytes],
  ]);
  if (proof !== undefined) files.set("consistency-proof", proof);
  return { outcome: "alarm", alarm: { kind: "split", detail, evidence: files } };
}
