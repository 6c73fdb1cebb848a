/** A witness in a simulation: the real service on a store in memory, which may be away, late, or gone before it answers. */
import {
  createNoteKey,
  encodeNote,
  encodeNoteKey,
  equal,
  type Note,
  type NoteKey,
  type Policy,
  parseCheckpoint,
  parsePolicy,
  utf8,
} from "@tallystick/protocol";
import type { WitnessLink } from "../../packages/server/src/log/witnesses.ts";
import type { Clock } from "../../packages/server/src/platform/clock.ts";
import { type Cosigner, createWitness, type Witness } from "../../packages/server/src/witness/service.ts";
import { type Cosigned, hashOfOrigin, type WitnessStore } from "../../packages/server/src/witness/store.ts";
import { fixedNoteSigner } from "../fixed-keys.ts";
import type { Evidence } from "./evidence.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** How a witness does: `away` refuses at once, `silent` never answers, `failing` is cut short before or after it records. */
type Mode = "well" | "slow" | "away" | "silent" | "failing";
const MODES = ["well", "well", "well", "slow", "away", "silent", "failing"] as const satisfies Mode[];

/** One cosignature, as the world has it. */
export type Line = { text: string; timeSeconds: number; signature: Uint8Array };

/** `evidence` is told of everything that it signs. */
type WitnessParts = { logKey: NoteKey; evidence: Evidence; random: Random; timeline: Timeline };

export class SimulatedWitness {
  readonly key: NoteKey;
  readonly lines: Line[] = [];
  readonly reports: string[] = [];
  mode: Mode = "well";
  readonly #random: Random;
  readonly #timeline: Timeline;
  readonly #store: WitnessStore = createMemoryStore();
  readonly #logKey: NoteKey;
  readonly #cosigner: Cosigner;
  #service: Witness;

  constructor(name: string, { logKey, evidence, random, timeline }: WitnessParts) {
    const signer = signerOf(name);
    this.#random = random;
    this.#timeline = timeline;
    this.#logKey = logKey;
    this.#cosigner = {
      key: signer.cosignerKey,
      cosign: (text, timeSeconds) => {
        const line = signer.cosign(text, timeSeconds);
        evidence.sign(name, text);
        this.lines.push({ text, timeSeconds, signature: line.signature });
        return line;
      },
    };
    this.key = signer.cosignerKey;
    this.#service = this.#start();
  }

  /** From here on it does as another mode has it. */
  change(): void {
    this.mode = this.#random.pick(MODES);
  }

  /** Whether it has ever cosigned anything of the log. */
  knowsLog(): boolean {
    return this.#store.find(this.#logKey.name) !== undefined;
  }

  /** The size that it has cosigned last. */
  lastSize(): number {
    return this.#store.find(this.#logKey.name)?.size ?? 0;
  }

  /** Whether it made one of the lines of `note`, for just that text. */
  hasCosigned({ text, signatures }: Note): boolean {
    return this.lines.some(
      (line) => line.text === text && signatures.some((one) => equal(one.signature, line.signature)),
    );
  }

  /** The way to it for one life of the log's process. */
  link(isGone: () => boolean): WitnessLink {
    const { key } = this;
    return {
      key,
      addCheckpoint: (body) =>
        this.#answer(isGone, async () => {
          const answer = await this.#service.addCheckpoint(body);
          return { status: answer.status, body: utf8(answer.body) };
        }),
      latest: (origin) =>
        this.#answer(isGone, async () => {
          const note = this.#service.latest(origin);
          return note && parseCheckpoint(utf8(encodeNote(note)));
        }),
    };
  }

  #start(): Witness {
    const clock: Clock = { nowMs: () => this.#timeline.nowMs };
    const report = (event: string) => void this.reports.push(event);
    const service = createWitness({ store: this.#store, cosigner: this.#cosigner, clock, report });
    service.setLog(this.#logKey.name, [this.#logKey]);
    return service;
  }

  /** What `ask` gives, after the way there and before the way back. What is asked by then reaches it whoever has gone. */
  #answer<T>(isGone: () => boolean, ask: () => Promise<T>): Promise<T> {
    const { mode } = this;
    const wayMs = () => this.#random.below(mode === "slow" ? 4_000 : 20);
    const fate = mode === "failing" ? this.#random.pick(["before", "after", "none"]) : "none";
    return new Promise((resolve, reject) => {
      const back = (run: () => void) => this.#timeline.after(wayMs(), () => isGone() || run());
      const fail = (why: string) => back(() => reject(new Error(why)));
      if (mode === "silent") return;
      if (mode === "away") return void fail("not reached");
      const arrive = () => {
        if (fate === "before") return void fail("it ended before it wrote");
        ask().then(
          (answer) => {
            if (fate === "none") return void back(() => resolve(answer));
            this.#service = this.#start();
            fail("it ended before it answered");
          },
          (error: unknown) => back(() => reject(error)),
        );
      };
      this.#timeline.after(wayMs(), arrive);
    });
  }
}

/** The policy that asks for `threshold` of `witnesses`; 0 for none of them. */
export function policyOf(logKey: NoteKey, witnesses: readonly SimulatedWitness[], threshold: number): Policy {
  const lines = witnesses.map(({ key }, i) => `witness w${i} ${encodeNoteKey(key)}`);
  const names = witnesses.map((_, i) => `w${i}`).join(" ");
  const quorum = threshold === 0 ? ["quorum none"] : [`group all ${threshold} ${names}`, "quorum all"];
  return parsePolicy(utf8([`log ${encodeNoteKey(logKey)}`, ...lines, ...quorum, ""].join("\n")));
}

type FixedCosigner = ReturnType<typeof fixedNoteSigner> & { cosignerKey: NoteKey };
const signers = new Map<string, FixedCosigner>();

function signerOf(name: string): FixedCosigner {
  const known = signers.get(name);
  if (known !== undefined) return known;
  const signer = fixedNoteSigner(name);
  const made = { ...signer, cosignerKey: createNoteKey(name, "cosignature", signer.key.publicKey) };
  signers.set(name, made);
  return made;
}

/** A store that keeps the promises of the one in SQLite. */
export function createMemoryStore(): WitnessStore {
  const latest = new Map<string, Cosigned>();
  return {
    find: (origin) => latest.get(origin),
    findByHash: (originHash) => [...latest.values()].find(({ origin }) => hashOfOrigin(origin) === originHash),
    advance(fromSize, next) {
      if ((latest.get(next.origin)?.size ?? 0) !== fromSize) return false;
      latest.set(next.origin, next);
      return true;
    },
  };
}
