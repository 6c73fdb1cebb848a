/** The public reads of the log, ready to send: its checkpoint, tiles and bundles as C2SP tlog-tiles serves them. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { encodeNote, type Note, parseTilePath, TILE_WIDTH, type Tile, utf8 } from "@tallystick/protocol";

const compress = promisify(gzip);

/** Answers that are kept, together. */
const KEPT_BYTES = 64 * 1024 * 1024;
/** A larger answer, a bundle of large entries, is read each time. */
const ANSWER_KEPT_BYTES = 1024 * 1024;
/** What an answer takes beside its bytes, at most: its key, its headers, its place in the cache. */
const ANSWER_COST_BYTES = 1024;

/** Reads are public, and anybody's page may make them. */
export const PUBLIC = { "access-control-allow-origin": "*" };
const CHECKPOINT = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache", ...PUBLIC };
const TILE = {
  "content-type": "application/octet-stream",
  "cache-control": "public, max-age=31536000, immutable",
  ...PUBLIC,
};
const BUNDLE = { ...TILE, vary: "accept-encoding" };
const GZIPPED_BUNDLE = { ...BUNDLE, "content-encoding": "gzip" };

/** A response with status 200, kept as the bytes that a socket is given. */
export class Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly #head: string;
  #bytes: Buffer<ArrayBuffer>;
  #seconds = -1;

  constructor(headers: Record<string, string>, body: Uint8Array) {
    this.headers = { ...headers, "content-length": String(body.length) };
    const lines = Object.entries(this.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#head = `HTTP/1.1 200 OK\r\n${lines.join("")}date: `;
    this.#bytes = this.#dated(0, body);
  }

  get body(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#bytes.length - Number(this.headers["content-length"]));
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** The whole response, head and body, as it is sent in the second `seconds`. */
  bytesAt(seconds: number): Buffer {
    if (seconds !== this.#seconds) {
      this.#bytes = this.#dated(seconds, this.body); // Not in place: what was sent before may still be on its way.
      this.#seconds = seconds;
    }
    return this.#bytes;
  }

  #dated(seconds: number, body: Uint8Array): Buffer<ArrayBuffer> {
    const head = `${this.#head}${new Date(1000 * seconds).toUTCString()}\r\n\r\n`;
    const bytes = Buffer.allocUnsafeSlow(head.length + body.length);
    bytes.write(head, "latin1");
    bytes.set(body, head.length);
    return bytes;
  }
}

export type LogReads = {
  /** The answer to a GET of `path`, where it is at hand. */
  peek(path: string, acceptsGzip: boolean): Answer | undefined;
  /** The answer to a GET of `path`, where the log has something there. */
  find(path: string, acceptsGzip: boolean): Promise<Answer | undefined>;
};

export type ReadsOptions = {
  published(): { note: Note };
  /** The bytes of a published tile of exactly this width; undefined where there is none. */
  findTile(tile: Tile): Promise<Uint8Array | undefined>;
  keptBytes?: number;
};

/** Full tiles and bundles stay until others need their room; partial ones until the next checkpoint. */
export function createReads({ published, findTile, keptBytes = KEPT_BYTES }: ReadsOptions): LogReads {
  const kept = new AnswerCache(keptBytes);
  const partial = new Set<string>();
  const loading = new Map<string, Promise<Answer | undefined>>();
  let compressing = false;
  let note: Note | undefined;
  let checkpoint: Answer | undefined;

  function peek(path: string, acceptsGzip: boolean): Answer | undefined {
    if (published().note !== note) renew();
    return path === "/checkpoint" ? checkpoint : kept.get(cacheKey(path, acceptsGzip));
  }

  function renew(): void {
    note = published().note;
    checkpoint = new Answer(CHECKPOINT, utf8(encodeNote(note)));
    for (const key of partial) kept.delete(key);
    partial.clear();
  }

  async function load(path: string, key: string): Promise<Answer | undefined> {
    const tile = parseTilePath(path.slice(1));
    if (tile === undefined) return undefined;
    const before = note;
    const bytes = await findTile(tile);
    if (bytes === undefined) return undefined;
    const answer = await answerOf(tile, bytes, key !== path);
    const isWanted = key === path || "content-encoding" in answer.headers;
    if (isWanted && answer.sizeBytes <= ANSWER_KEPT_BYTES && (tile.width === TILE_WIDTH || note === before)) {
      kept.set(key, answer);
      if (tile.width < TILE_WIDTH) partial.add(key);
    }
    return answer;
  }

  async function answerOf(tile: Tile, bytes: Uint8Array, acceptsGzip: boolean): Promise<Answer> {
    if (tile.level !== "entries") return new Answer(TILE, bytes);
    // One at a time: the log's own writes use the same few threads, and whoever comes meanwhile can take it as it is.
    if (!acceptsGzip || compressing) return new Answer(BUNDLE, bytes);
    compressing = true;
    try {
      return new Answer(GZIPPED_BUNDLE, await compress(bytes));
    } finally {
      compressing = false;
    }
  }

  async function find(path: string, acceptsGzip: boolean): Promise<Answer | undefined> {
    const known = peek(path, acceptsGzip);
    if (known !== undefined) return known;
    const key = cacheKey(path, acceptsGzip);
    const started = loading.get(key) ?? load(path, key).finally(() => loading.delete(key));
    loading.set(key, started);
    return started;
  }

  return { peek, find };
}

/** What an answer is kept under: no path begins with a letter. Only bundles are compressed, as hashes do not get smaller. */
function cacheKey(path: string, acceptsGzip: boolean): string {
  return acceptsGzip && path.startsWith("/tile/entries/") ? `gzip ${path}` : path;
}

type Kept = { answer: Answer; wasUsed: boolean };

/** Answers up to a limit of bytes. The oldest goes first, unless it was used since it was last looked at. */
class AnswerCache {
  readonly #limitBytes: number;
  readonly #answers = new Map<string, Kept>();
  #sizeBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get(key: string): Answer | undefined {
    const kept = this.#answers.get(key);
    if (kept === undefined) return undefined;
    kept.wasUsed = true;
    return kept.answer;
  }

  set(key: string, answer: Answer): void {
    this.delete(key);
    this.#sizeBytes += costOf(answer);
    while (this.#sizeBytes > this.#limitBytes && this.#answers.size > 0) this.#dropOldest();
    this.#answers.set(key, { answer, wasUsed: false });
  }

  #dropOldest(): void {
    for (const [key, kept] of this.#answers) {
      if (!kept.wasUsed) {
        this.delete(key);
        return;
      }
      kept.wasUsed = false;
      this.#answers.delete(key);
      this.#answers.set(key, kept);
    }
  }

  delete(key: string): void {
    const kept = this.#answers.get(key);
    if (kept === undefined) return;
    this.#answers.delete(key);
    this.#sizeBytes -= costOf(kept.answer);
  }
}

function costOf(answer: Answer): number {
  return answer.sizeBytes + ANSWER_COST_BYTES;
}

/** Whether an Accept-Encoding header names gzip and does not refuse it (RFC 9110 §12.5.3). */
export function acceptsGzip(header = ""): boolean {
  return /(?:^|,)[ \t]*gzip[ \t]*(?:;[ \t]*q=(?!0(?:\.0{0,3})?[ \t]*(?:,|$))[01](?:\.[0-9]{0,3})?[ \t]*)?(?:,|$)/i.test(
    header,
  );
}
