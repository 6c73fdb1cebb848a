/**
 * Receipts on their way to the log, which is elsewhere: each is on this disk before it is sent, and until the log has it. After
 * a lost answer, or a crash, the same bytes are sent again; nothing is signed twice.
 */
import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hex, parseAuthorization, parseEntry, sha256, signedId } from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import { makeFolder, writeDurably } from "../platform/files.ts";
import type { Report } from "../platform/http.ts";
import { pause } from "../platform/pause.ts";

/** What the log says to an entry: where it is, or that it will never take it. Throws where there is no clear answer. */
export type Posted = { ok: true; index: number } | { ok: false; why: string };

export type SpoolParts = {
  folder: string;
  post(entry: Uint8Array): Promise<Posted>;
  report: Report;
  limits?: Partial<SpoolLimits>;
};

export type SpoolLimits = {
  /** Receipts that may lie here; then no more calls are taken. */
  receipts: number;
  /** How often one is sent before its call is told that the log does not answer, and the pause after the first time. */
  tries: number;
  pauseMs: number;
  /** The pause between two rounds over what is left. */
  roundMs: number;
};

const SPOOL_LIMITS: SpoolLimits = { receipts: 512, tries: 6, pauseMs: 100, roundMs: 5_000 };
const REFUSED = "refused";

export type Spool = {
  /** Where the log has the receipt, once it is durable there. Throws where the log does not say so. */
  append(receipt: Uint8Array): Promise<number>;
  /** Throws unavailable where no more receipts may lie here. */
  checkRoom(): void;
  /** Whether a receipt under this id was signed and the log has not said yet that it has it. */
  isUnsettled(id: Uint8Array): boolean;
  /** How far the log reaches with what it said that it has. */
  readonly settledSize: number;
  /** Sends everything that is left, once; resolves with how many the log has not answered for. */
  resend(): Promise<number>;
  close(): Promise<void>;
};

export async function openSpool({ folder, post, report, limits: given }: SpoolParts): Promise<Spool> {
  const limits = { ...SPOOL_LIMITS, ...given };
  await makeFolder(join(folder, REFUSED));
  /** Names of the files that are here, and of those that no call waits for. */
  const here = new Set((await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name)));
  const left = new Set(here);
  /** The ids of receipts that were signed and that the log may not have. */
  const unsettled = new Set<string>();
  const closing = new AbortController();
  let settledSize = 0;
  let timer: NodeJS.Timeout | undefined;
  let round: Promise<number> | undefined;

  async function settle(name: string, receipt: Uint8Array, posted: Posted): Promise<void> {
    const path = join(folder, name);
    if (posted.ok) await rm(path, { force: true });
    else {
      report("the log refuses a receipt of this node", { receipt: hex(idOf(receipt)), why: posted.why });
      await rename(path, join(folder, REFUSED, name)); // Evidence, and the operator's to look at.
    }
    here.delete(name);
    left.delete(name);
    if (!posted.ok) return;
    settledSize = Math.max(settledSize, posted.index + 1);
    unsettled.delete(hex(idOf(receipt)));
  }

  async function send(name: string, receipt: Uint8Array): Promise<Posted> {
    for (let pauseMs = limits.pauseMs, tries = limits.tries; ; pauseMs *= 2) {
      try {
        const posted = await post(receipt);
        await settle(name, receipt, posted);
        return posted;
      } catch (cause) {
        if (--tries <= 0 || closing.signal.aborted) throw cause;
        await pause(pauseMs, closing.signal);
      }
    }
  }

  async function sendAll(): Promise<number> {
    for (const name of [...left]) {
      if (closing.signal.aborted) break;
      try {
        const receipt = new Uint8Array(await readFile(join(folder, name)));
        await settle(name, receipt, await post(receipt));
      } catch (error) {
        report("the log does not answer for a receipt of this node; it is sent again", { error: String(error) });
        break; // Nor will it for the next.
      }
    }
    return left.size;
  }

  function resend(): Promise<number> {
    clearTimeout(timer);
    timer = undefined;
    round ??= sendAll().finally(() => {
      round = undefined;
      schedule();
    });
    return round;
  }

  function schedule(): void {
    if (left.size === 0 || closing.signal.aborted) return;
    timer ??= setTimeout(
      () => void resend().catch((error) => report("internal error", { error: String(error) })),
      limits.roundMs,
    );
  }

  return {
    async append(receipt) {
      const name = hex(sha256(receipt));
      const id = hex(idOf(receipt));
      unsettled.add(id);
      here.add(name);
      await writeDurably(join(folder, name), receipt, 0o600);
      try {
        const posted = await send(name, receipt);
        if (posted.ok) return posted.index;
        throw new ServiceError("internal", `the log refuses this node's receipt ${id}: ${posted.why}`);
      } catch (cause) {
        if (here.has(name)) left.add(name);
        schedule();
        if (cause instanceof ServiceError) throw cause;
        throw new ServiceError("unavailable", `the log does not answer for the receipt ${id}`, { cause });
      }
    },

    checkRoom() {
      if (here.size >= limits.receipts)
        throw new ServiceError("unavailable", `${here.size} receipts of this node wait for the log: try another node`);
    },

    get settledSize() {
      return settledSize;
    },

    isUnsettled: (id) => unsettled.has(hex(id)),
    resend,

    async close() {
      closing.abort();
      clearTimeout(timer);
      await round?.catch(() => {});
    },
  };
}

/** The receipt's id: that of the authorization in it. */
function idOf(receipt: Uint8Array): Uint8Array {
  const entry = parseEntry(receipt);
  if (entry.kind !== "receipt") throw new TypeError(`a spool holds receipts, not a ${entry.kind} entry`);
  return signedId(parseAuthorization(entry.says.authorization).signed);
}
