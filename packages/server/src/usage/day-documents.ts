/**
 * The documents of closed days on disk: the fold keeps their digests alone. A file is a document's canonical JSON, compressed, and
 * named for its digest, to which it is held whenever it is read. All of it follows from the log: what is missing or damaged is
 * made again (docs/design/fold-memory.md).
 */
import { access, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants } from "node:zlib";
import {
  type Dimension,
  encodeJson,
  equal,
  type FoldState,
  type Group,
  groupTexts,
  hex,
  type Period,
  parseUtf8,
  sha256,
} from "@tallystick/protocol";
import { ServiceError, systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";
import type { Report } from "../platform/http.ts";

/** Texts of groups that were read, together: as objects they take some eight times as much. */
const RECENT_BYTES = 16 << 20;
/** Documents that wait to be written. Of a disk that cannot be written the oldest are let go, and made again one day. */
const UNWRITTEN_MOST = 64;
/** A document of some thousand models; what is longer was not written here. */
const DOCUMENT_BYTES = 256 << 20;
/** The least pause between two replays, and how many times as long as the last took. */
const REPLAY_LEAST_MS = 60_000;
const REPLAY_REST = 4;

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);
// Twice as small as by deflate, and as quick: a document repeats its names.
const COMPRESSION = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };

/** Folds the log from its first entry, and shows the fold whenever days have closed. */
export type Replay = (onClosed: (fold: FoldState) => Promise<void>, signal: AbortSignal) => Promise<void>;

export type DayDocumentsOptions = { folder: string; recentBytes?: number; nowMs(): number; report: Report };

export class DayDocuments {
  readonly #options: DayDocumentsOptions;
  readonly #unwritten = new Map<string, Uint8Array>();
  readonly #recent = new Map<string, { groups: Group[]; sizeBytes: number }>();
  #recentBytes = 0;
  #writing = Promise.resolve();
  #replay: Replay | undefined;
  #replaying: Promise<void> | undefined;
  #replayNotBeforeMs = 0;
  readonly #closing = new AbortController();

  constructor(options: DayDocumentsOptions) {
    this.#options = options;
  }

  /** Takes the documents of the days that `fold` closed last, to be written in the background. */
  take({ series }: FoldState): void {
    for (const { documents, digests } of series)
      for (const [day, document] of documents) {
        const digest = digests.get(day);
        if (digest !== undefined) this.#unwritten.set(nameOf(day, digest), encodeJson(document));
      }
    for (const name of this.#unwritten.keys()) {
      if (this.#unwritten.size <= UNWRITTEN_MOST) break;
      this.#unwritten.delete(name);
    }
    const written = this.#writing.then(() => this.#writeAll());
    this.#writing = written.catch((error: unknown) =>
      this.#options.report("documents of days were not written", { error: String(error) }),
    );
  }

  /** Resolves once all that was taken is durable. Throws where it cannot be written. */
  async written(): Promise<void> {
    await this.#writing;
    await this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    for (const [name, bytes] of this.#unwritten) {
      const path = join(this.#options.folder, name);
      if (!(await exists(path))) await writeDurably(path, await compress(bytes, COMPRESSION));
      this.#unwritten.delete(name);
    }
  }

  /** The canonical text of the document of `day` that has that digest. Throws a ServiceError where it is still to be made again. */
  async read(day: string, digest: Uint8Array): Promise<string> {
    const name = nameOf(day, digest);
    const bytes = this.#unwritten.get(name) ?? (await this.#readFile(name));
    const text = bytes !== undefined && equal(sha256(bytes), digest) ? parseUtf8(bytes) : undefined;
    if (text !== undefined) return text;
    await rm(join(this.#options.folder, name), { force: true });
    this.#makeAgain();
    throw new ServiceError(
      "unavailable",
      `what ${day} came to is being made again from the log: ask again in a minute`,
      {
        retryAfterMs: REPLAY_LEAST_MS,
      },
    );
  }

  /** Of that document the groups of one period by one dimension. */
  async groups(day: string, digest: Uint8Array, per: Period, by: Dimension): Promise<readonly Group[]> {
    const name = `${hex(digest)} ${per} ${by}`;
    const known = this.#recent.get(name);
    if (known !== undefined) {
      this.#recent.delete(name); // Put last again: the first is what nobody asked for longest.
      this.#recent.set(name, known);
      return known.groups;
    }
    const texts = groupTexts(await this.read(day, digest), per, by);
    const groups = texts.map((text) => JSON.parse(text) as Group); // Of a document that has its digest.
    this.#keep(name, { groups, sizeBytes: texts.reduce((sum, text) => sum + text.length, 0) });
    return groups;
  }

  /** How much of what was read is kept. */
  get recentBytes(): number {
    return this.#recentBytes;
  }

  #keep(name: string, read: { groups: Group[]; sizeBytes: number }): void {
    const { recentBytes = RECENT_BYTES } = this.#options;
    if (this.#recent.has(name)) return;
    this.#recent.set(name, read);
    this.#recentBytes += read.sizeBytes;
    for (const [first, { sizeBytes }] of this.#recent) {
      if (this.#recentBytes <= recentBytes) return;
      this.#recent.delete(first);
      this.#recentBytes -= sizeBytes;
    }
  }

  async #readFile(name: string): Promise<Uint8Array | undefined> {
    const file = await readFile(join(this.#options.folder, name)).catch(orNone);
    // Whatever the decompressor finds wrong with it, it is not what was written.
    return file && decompress(file, { maxOutputLength: DOCUMENT_BYTES }).catch(() => undefined);
  }

  /** Begins to look after the documents of the days that `fold` has closed: removes files of other days, makes missing ones again by `replay`. */
  async begin(fold: FoldState, replay: Replay): Promise<void> {
    this.#replay = replay;
    await this.written();
    const due = new Set(namesOf(fold));
    for (const name of (await readdir(this.#options.folder).catch(orNone)) ?? [])
      if (!due.delete(name)) await rm(join(this.#options.folder, name), { recursive: true, force: true });
    if (due.size > 0) this.#makeAgain();
  }

  /** Resolves once nothing is being made again. */
  async idle(): Promise<void> {
    await this.#replaying;
  }

  /** What is being made again is left to the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#replaying;
  }

  #makeAgain(): void {
    const replay = this.#replay;
    if (replay === undefined || this.#replaying !== undefined) return;
    if (this.#options.nowMs() < this.#replayNotBeforeMs) return;
    this.#replaying = this.#makeAll(replay).finally(() => {
      this.#replaying = undefined;
    });
  }

  async #makeAll(replay: Replay): Promise<void> {
    const { nowMs, report } = this.#options;
    const { signal } = this.#closing;
    const startMs = nowMs();
    report("documents of days are missing or damaged, and are made again from the log", {});
    try {
      await replay(async (fold) => {
        this.take(fold);
        await this.written();
      }, signal);
      if (!signal.aborted) report("documents of days were made again", { ms: nowMs() - startMs });
    } catch (error) {
      report("documents of days were not made again", { error: String(error) });
    }
    this.#replayNotBeforeMs = nowMs() + Math.max(REPLAY_LEAST_MS, REPLAY_REST * (nowMs() - startMs));
  }
}

const nameOf = (day: string, digest: Uint8Array) => `${day}-${hex(digest)}.json.br`;

function namesOf({ series }: FoldState): string[] {
  return series.flatMap(({ digests }) => [...digests].map(([day, digest]) => nameOf(day, digest)));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Instead of what is not there. */
function orNone(error: unknown): undefined {
  if (systemCode(error) !== "ENOENT") throw error;
}
