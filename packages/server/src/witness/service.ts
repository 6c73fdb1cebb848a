/**
 * A witness: cosigns checkpoints of the logs it knows, each only where it extends the last (C2SP tlog-witness).
 *
 * decide    whether the log signed the checkpoint, and whether it extends the latest that was cosigned
 * cosign    with the time, by a key that signs nothing else
 * record    the cosigned checkpoint is written and synced
 * answer    nobody has the cosignature before this
 */
import {
  type Checkpoint,
  encodeCosignatures,
  encodeCosignedSize,
  encodeNote,
  equal,
  NOTE_SIZE_BYTES,
  type Note,
  type NoteKey,
  type NoteSignature,
  TIME_SECONDS,
  TLOG_SIZE_TYPE,
  utf8,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { OperatorError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import { type Decision, decide, findSignature, readRequest } from "./decide.ts";
import type { Cosigned, WitnessStore } from "./store.ts";

export type WitnessAnswer = { status: 200 | 400 | 403 | 404 | 409 | 422 | 503; contentType: string; body: string };

export type Witness = {
  /** The key of its cosignatures. */
  key: NoteKey;
  /** Answers the body of a request for a cosignature. */
  addCheckpoint(body: Uint8Array): Promise<WitnessAnswer>;
  /** The latest checkpoint that this key cosigned of a log, with the log's signatures. */
  latest(origin: string): Note | undefined;
  /** That of the log whose origin has this SHA-256, in hex. */
  latestByHash(originHash: string): Note | undefined;
  /** From here on cosigns for the log whose signatures are by `keys`; for none where there are none. */
  setLog(origin: string, keys: readonly NoteKey[]): void;
};

/** What cosigns: a key, and the one thing that it signs. */
export type Cosigner = { key: NoteKey; cosign(text: string, timeSeconds: number): NoteSignature };

export type WitnessOptions = { store: WitnessStore; cosigner: Cosigner; clock: Clock; report: Report };

/** Requests for one log's checkpoints that may be under way; one more is refused. */
const REQUESTS_PER_LOG = 64;

type WitnessedLog = {
  keys: readonly NoteKey[];
  /** Resolves when the last request so far is answered. */
  last: Promise<unknown>;
  requestCount: number;
  isForkReported: boolean;
};

/** A witness that knows no log yet. `close` takes no more requests, and resolves when those before it are answered. */
export function createWitness({ store, cosigner, clock, report }: WitnessOptions): Witness & {
  close(): Promise<void>;
} {
  const { key } = cosigner;
  const logs = new Map<string, WitnessedLog>();
  let isBroken = false;
  let isClosed = false;

  async function answer(checkpoint: Checkpoint, decided: Decision, latest: Cosigned | undefined, log?: WitnessedLog) {
    if (decided.kind === "refuse") return refusal(decided.status, decided.message);
    if (decided.kind === "conflict") return conflict(decided.size);
    if (decided.kind === "cosign") return cosign(checkpoint, decided.signatures, latest);
    if (log !== undefined && !log.isForkReported) {
      log.isForkReported = true; // Once: whoever holds both may send them again without end.
      const [cosigned, submitted] = [latest?.note, checkpoint.note].map((note) => note && encodeNote(note));
      report("a log has signed two trees of one size", { origin: checkpoint.origin, cosigned, submitted });
    }
    return refusal(422, `the log has signed another tree of ${checkpoint.size} entries, which this witness cosigned`);
  }

  /** Nothing here waits, so that nothing comes between what was read of the store and what is written. */
  function cosign(checkpoint: Checkpoint, signatures: NoteSignature[], latest: Cosigned | undefined): WitnessAnswer {
    const { origin, size, root } = checkpoint;
    const { text } = checkpoint.note;
    const timeSeconds = Math.max(nowSeconds(clock), latest?.timeSeconds ?? 0); // The clock may have been set back.
    if (timeSeconds < 1 || timeSeconds > TIME_SECONDS) return refusal(503, "the clock of this witness is not set");
    // Asked again within a second it has nothing new to say, and need not write.
    const known = latest?.timeSeconds === timeSeconds && latest.note.text === text ? latest.note : undefined;
    const line = known === undefined ? undefined : findSignature(known, key);
    if (line !== undefined) return consent(line);
    const cosignature = cosigner.cosign(text, timeSeconds);
    const note = { text, signatures: [...signatures, cosignature] };
    if (utf8(encodeNote(note)).length > NOTE_SIZE_BYTES)
      return refusal(400, `the checkpoint with its cosignature is larger than the ${NOTE_SIZE_BYTES} bytes of a note`);
    try {
      if (!store.advance(latest?.size ?? 0, { origin, size, root, timeSeconds, note }))
        return conflict(store.find(origin)?.size ?? 0);
    } catch (error) {
      // After a failed sync nobody knows what is on disk: only a start reads it back.
      isBroken = true;
      report("the witness cannot write", { origin, error: String(error) });
      return unwritable();
    }
    return consent(cosignature);
  }

  const ours = (cosigned: Cosigned | undefined) =>
    cosigned !== undefined && findSignature(cosigned.note, key) !== undefined ? cosigned.note : undefined;

  return {
    key,

    async addCheckpoint(body) {
      if (isClosed) return refusal(503, "the witness is closing");
      const read = readRequest(body);
      if (read.kind === "refuse") return refusal(read.status, read.message);
      const { request } = read;
      const { origin } = request.checkpoint;
      const log = logs.get(origin);
      if (log === undefined || log.keys.length === 0)
        return answer(request.checkpoint, await decide(request, undefined), undefined);
      if (log.requestCount >= REQUESTS_PER_LOG)
        return refusal(503, "more requests for this log wait than are taken: try again in a second");
      const inTurn = async () => {
        if (isBroken) return unwritable();
        const latest = store.find(origin);
        return answer(request.checkpoint, await decide(request, { keys: log.keys, latest }), latest, log);
      };
      log.requestCount++;
      const answered = log.last.then(inTurn).finally(() => log.requestCount--);
      log.last = answered.catch(() => {}); // Whoever asked is told; the next is answered all the same.
      return answered;
    },

    latest: (origin) => ours(store.find(origin)),
    latestByHash: (originHash) => ours(store.findByHash(originHash)),

    setLog(origin, keys) {
      if (keys.some(({ publicKey }) => equal(publicKey, key.publicKey)))
        throw new OperatorError(
          `the witness's key is also a key of the log ${origin}: give the witness one of its own`,
        );
      const log = logs.get(origin);
      if (log === undefined)
        logs.set(origin, { keys, last: Promise.resolve(), requestCount: 0, isForkReported: false });
      else log.keys = keys;
    },

    async close() {
      isClosed = true;
      await Promise.all([...logs.values()].map(({ last }) => last));
    },
  };
}

const TEXT = "text/plain; charset=utf-8";

function consent(line: NoteSignature): WitnessAnswer {
  return { status: 200, contentType: TEXT, body: encodeCosignatures([line]) };
}

function conflict(size: number): WitnessAnswer {
  return { status: 409, contentType: TLOG_SIZE_TYPE, body: encodeCosignedSize(size) };
}

function refusal(status: 400 | 403 | 404 | 422 | 503, message: string): WitnessAnswer {
  return { status, contentType: TEXT, body: `${message}\n` };
}

function unwritable(): WitnessAnswer {
  return refusal(503, "the witness cannot write: its operator must look at the disk");
}
