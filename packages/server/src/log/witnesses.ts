/** The log's side of C2SP tlog-witness: asks each witness of a policy to cosign, and keeps what each has seen last. */
import {
  type Checkpoint,
  encodeAddCheckpoint,
  isQuorum,
  lowerMedian,
  Malformed,
  type Note,
  type NoteKey,
  type NoteSignature,
  type Policy,
  parseCosignatures,
  parseCosignedSize,
  verifyNote,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import type { Report } from "../platform/http.ts";

/** A way to one witness. What it throws means that the witness was not reached. */
export type WitnessLink = {
  /** The key of its cosignatures. */
  key: NoteKey;
  addCheckpoint(body: Uint8Array): Promise<{ status: number; body: Uint8Array }>;
  /** The checkpoint of `origin` that it cosigned last, with its cosignature; undefined where it has none. */
  latest(origin: string): Promise<Checkpoint | undefined>;
};

/** What there is of a cosigned checkpoint: the lines, and when a quorum saw it, if it did. */
export type Cosigned = { signatures: NoteSignature[]; timeSeconds: number | undefined };

/** The state to be cosigned, and the proofs that it extends earlier ones. */
export type ToCosign = { size: number; note: Note; proof(from: number): Promise<Uint8Array[]> };

export type Witnessing = {
  /** Whether the policy asks for no witness: then what the log signs is all there is. */
  asksNobody: boolean;
  /** Asks every witness, for at most a while. */
  cosign(state: ToCosign): Promise<Cosigned>;
  /** What each witness has cosigned last of this log; `unreached` where it did not say. */
  hear(origin: string): Promise<{ key: NoteKey; last: Heard }[]>;
};

/** What a witness has cosigned last. */
export type Heard = Checkpoint | "nothing" | "unreached";

export type WitnessingParts = {
  policy: Policy;
  links: readonly WitnessLink[];
  clock: Clock;
  timeoutMs: number;
  report: Report;
};

/** A witness that failed is left alone for a second, then two, and so on up to a minute. */
const PAUSE_MS = 1_000;
const PAUSE_MOST_MS = 60_000;
/** How often one may name another size in one round before it is left alone. */
const TRIES = 3;

type Asked = {
  link: WitnessLink;
  lastSize: number;
  failures: number;
  pausedUntilMs: number;
  asking: Promise<NoteSignature[]> | undefined;
  /** The last state that it cosigned, and its lines: asked about the same one, it need not be asked. */
  cosigned: { text: string; signatures: NoteSignature[] } | undefined;
};

/** No witness at all: the log's own signature is all that a checkpoint has. */
export const NO_WITNESSES: Witnessing = {
  asksNobody: true,
  cosign: async () => ({ signatures: [], timeSeconds: undefined }),
  hear: async () => [],
};

export function createWitnessing({ policy, links, clock, timeoutMs, report }: WitnessingParts): Witnessing {
  const asked = links.map(
    (link): Asked => ({ link, lastSize: 0, failures: 0, pausedUntilMs: 0, asking: undefined, cosigned: undefined }),
  );

  /** The cosignatures of one witness, none where it fails; the reason is reported once, until it answers again. */
  async function ask(witness: Asked, state: ToCosign): Promise<NoteSignature[]> {
    try {
      const signatures = await askUntilAgreed(witness, state);
      witness.cosigned = { text: state.note.text, signatures };
      if (witness.failures > 0) report("a witness answers again", { witness: witness.link.key.name });
      witness.failures = 0;
      return signatures;
    } catch (error) {
      if (witness.failures++ === 0)
        report("a witness does not cosign", { witness: witness.link.key.name, error: String(error) });
      const pauseMs = Math.min(PAUSE_MOST_MS, PAUSE_MS * 2 ** (witness.failures - 1));
      witness.pausedUntilMs = clock.nowMs() + pauseMs;
      return [];
    } finally {
      witness.asking = undefined;
    }
  }

  return {
    asksNobody: policy.quorum.kind === "none",

    async cosign(state) {
      const now = clock.nowMs();
      const rounds = asked.map((witness) => {
        if (witness.cosigned?.text === state.note.text) return Promise.resolve(witness.cosigned.signatures);
        const isPaused = witness.failures > 0 && now < witness.pausedUntilMs;
        // One that has not answered yet is not asked again: what it answers then is of an older state, and is let go.
        if (isPaused || witness.asking !== undefined) return Promise.resolve([]);
        witness.asking = ask(witness, state);
        return within(witness.asking, timeoutMs, []);
      });
      const signatures = (await Promise.all(rounds)).flat();
      const times = new Map<NoteKey, number>();
      const verified = await verifyNote(
        { text: state.note.text, signatures },
        links.map(({ key }) => key),
      );
      for (const { key, timeSeconds } of verified ?? []) if (timeSeconds !== undefined) times.set(key, timeSeconds);
      // The policy's keys are others than the links', though of the same bytes.
      const isCosigned = (key: NoteKey) => [...times.keys()].some((own) => isSame(own, key));
      const timeSeconds = isQuorum(policy.quorum, isCosigned) ? lowerMedian([...times.values()]) : undefined;
      return { signatures, timeSeconds };
    },

    hear(origin) {
      return Promise.all(
        asked.map(async ({ link }) => {
          const latest = link.latest(origin).then(
            (checkpoint): Heard => checkpoint ?? "nothing",
            (): Heard => "unreached",
          );
          const last = await within(latest, timeoutMs, "unreached");
          return { key: link.key, last };
        }),
      );
    },
  };
}

/** Asks with the size that the witness is known to have, and with the one that it names where that is another. */
async function askUntilAgreed(witness: Asked, { size, note, proof }: ToCosign): Promise<NoteSignature[]> {
  for (let tries = 0; tries < TRIES; tries++) {
    const oldSize = Math.min(witness.lastSize, size);
    const body = encodeAddCheckpoint({ oldSize, proof: await proof(oldSize), note });
    const answer = await witness.link.addCheckpoint(body);
    if (answer.status === 200) {
      witness.lastSize = size;
      return verifiedOf(witness.link.key, note, answer.body);
    }
    if (answer.status !== 409) throw new Error(`it answered with status ${answer.status}: ${textOf(answer.body)}`);
    const lastSize = parseCosignedSize(answer.body);
    if (lastSize > size)
      throw new Error(`it has cosigned ${lastSize} entries, more than the ${size} it is asked about`);
    witness.lastSize = lastSize;
  }
  throw new Error("it names another size each time it is asked");
}

/** The lines of the witness in its answer. Throws where there is none that holds. */
async function verifiedOf(key: NoteKey, { text }: Note, body: Uint8Array): Promise<NoteSignature[]> {
  const lines = parseCosignatures(body).filter(({ name }) => name === key.name);
  const verified = await verifyNote({ text, signatures: lines }, [key]);
  if (verified === undefined || verified.length === 0) throw new Malformed("has no cosignature that holds");
  return lines.filter(({ id }) => id.every((byte, i) => byte === key.id[i]));
}

function isSame(a: NoteKey, b: NoteKey): boolean {
  return a.name === b.name && a.id.every((byte, i) => byte === b.id[i]);
}

/** What `promise` gives within `timeoutMs`. It never rejects. */
async function within<T>(promise: Promise<T>, timeoutMs: number, late: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const lateAnswer = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late), timeoutMs);
  });
  try {
    return await Promise.race([promise, lateAnswer]);
  } finally {
    clearTimeout(timer);
  }
}

/** The beginning of what a witness says, for an operator to read. */
function textOf(body: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(body.subarray(0, 200)));
}
