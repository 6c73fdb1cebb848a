/**
 * A streamed answer, checked while it comes (docs/spec/stream.md): the chain over its frames, the seals that the node signs on
 * the way, and the receipt in the frame that ends it.
 */
import {
  addReceipt,
  ChunkedAnswer,
  concat,
  encodeJsonAnswer,
  equal,
  extendStream,
  findJson,
  hex,
  isJsonObject,
  type JsonObject,
  type JsonOperation,
  openStream,
  parseBase64,
  parseEntry,
  parseHex,
  parseUtf8,
  RECEIPT_CLOSERS,
  type ReceiptMember,
  responseAnswerOf,
  type StreamState,
  sealMessage,
  signedId,
  utf8,
  verifyEs256,
  withoutReceipt,
} from "@tallystick/protocol";
import { type Asked, checkAnswer, type VerifiedAnswer } from "./answer-check.ts";
import { orUnverified, UnverifiedError } from "./errors.ts";
import { type Block, FrameSplitter, readBlock } from "./frames.ts";
import type { NodeKeys } from "./node-keys.ts";
import { memberOf, withChecks } from "./whole-answer.ts";

export type StreamOperation = Exclude<JsonOperation, "embedding">;

/** What is checked against, and how frames are given on. */
export type StreamTerms = {
  operation: StreamOperation;
  asked: Asked;
  nodeKeys: NodeKeys;
  /** Gives a frame on when a signature of the node covers it; else at once. */
  hold: boolean;
  onVerified(answer: VerifiedAnswer): void;
};

/** How the network opened the stream: the chain's beginning, and who will sign it. */
type Opened = { salt: Uint8Array; nodeKeyId: Uint8Array };
type Seal = { state: StreamState; signature: Uint8Array };
/** The frame that ends the answer, kept back until the answer is checked. */
type Final = { text: string; member: ReceiptMember };
type Frame = Extract<Block, { kind: "frame" }>;

const SEAL_COMMENT = "tally ";
/** What is given on in place of any comment: nobody signs comments. */
const KEEP_ALIVE = utf8(":\n\n");
const DONE = "[DONE]";

export class StreamCheck {
  readonly #terms: StreamTerms;
  readonly #id: Uint8Array;
  readonly #splitter = new FrameSplitter();
  readonly #chunks: ChunkedAnswer | undefined;
  #opened: Opened | undefined;
  #chain: StreamState | undefined;
  /** Seals by a node whose key is not known before its receipt is there. */
  #unchecked: Seal[] = [];
  #held: Uint8Array[] = [];
  #response: JsonObject | undefined;
  #final: Final | undefined;
  #isVerified = false;
  #isOver = false;

  constructor(terms: StreamTerms) {
    this.#terms = terms;
    this.#id = signedId(terms.asked.authorization.signed);
    if (terms.operation !== "response") this.#chunks = new ChunkedAnswer(terms.operation);
  }

  /** Whether nothing that may still come belongs to the answer. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes bytes as they come; gives those that may be given on. Throws UnverifiedError at the first that does not hold. */
  async take(bytes: Uint8Array): Promise<Uint8Array[]> {
    const given: Uint8Array[] = [];
    for (const block of this.#splitter.push(bytes)) {
      if (this.#isOver) break;
      const read = readBlock(parseUtf8(block) ?? "");
      if (read === undefined) throw this.#fault("the stream has a frame that is none");
      if (read.kind === "comment") given.push(...(await this.#comment(read.text)));
      else if (this.#final === undefined) given.push(...(await this.#frame(read, block)));
      else given.push(...(await this.#afterReceipt(read, block)));
    }
    return given;
  }

  /** Throws UnverifiedError where the stream ended before its answer did. */
  end(): void {
    if (this.#isVerified || this.#isOver) return;
    const what = this.#final === undefined ? "its receipt" : "the usage that the receipt commits to";
    throw this.#fault(`the stream ended before ${what} came: the answer is not whole`);
  }

  #fault(message: string): UnverifiedError {
    return new UnverifiedError(message, { receiptId: hex(this.#id) });
  }

  async #comment(text: string): Promise<Uint8Array[]> {
    if (!text.startsWith(SEAL_COMMENT)) return [KEEP_ALIVE];
    const says = this.#json(text.slice(SEAL_COMMENT.length));
    if (this.#opened === undefined) {
      this.#open(says);
      return [];
    }
    return this.#seal(says);
  }

  #open({ receipt, salt, node }: JsonObject): void {
    const id = parseHex(String(receipt));
    const [saltBytes, nodeKeyId] = [parseBase64(String(salt)), parseHex(String(node))];
    if (id === undefined || !equal(id, this.#id))
      throw this.#fault("the stream is of another receipt than was asked for");
    if (saltBytes?.length !== 32 || nodeKeyId?.length !== 32)
      throw this.#fault("the stream does not say how its chain begins");
    this.#opened = { salt: saltBytes, nodeKeyId };
    this.#chain = openStream(this.#id, saltBytes);
  }

  async #seal({ frames, signature }: JsonObject): Promise<Uint8Array[]> {
    const { opened, chain } = this.#begun();
    const bytes = parseBase64(String(signature));
    if (bytes === undefined || frames !== chain.frames)
      throw this.#fault(`the node signed for ${String(frames)} frames, and ${chain.frames} came`);
    const seal = { state: chain, signature: bytes };
    const key = this.#terms.nodeKeys.findKnown(opened.nodeKeyId);
    if (key === undefined) {
      this.#unchecked.push(seal);
      return [];
    }
    await this.#checkSeal(seal, key.spki);
    return this.#held.splice(0);
  }

  async #checkSeal({ state, signature }: Seal, spki: Uint8Array): Promise<void> {
    if (await verifyEs256(spki, sealMessage(this.#id, state), signature)) return;
    throw this.#fault(`the first ${state.frames} frames are not those that the node signed for`);
  }

  async #frame({ text, json }: Frame, bytes: Uint8Array): Promise<Uint8Array[]> {
    const chunk = this.#json(json);
    if (isJsonObject(chunk.error)) {
      this.#isOver = true;
      this.#held = [];
      return [utf8(`data: ${JSON.stringify({ error: chunk.error })}\n\n`)];
    }
    const { chain } = this.#begun();
    const { operation, asked } = this.#terms;
    const response = isJsonObject(chunk.response) ? chunk.response : undefined;
    const receipt = operation === "response" ? response?.receipt : chunk.receipt;
    orUnverified("the stream", () => this.#chunks?.add(chunk));
    if (receipt === undefined) {
      this.#chain = extendStream(chain, bytes);
      return this.#give(bytes);
    }
    const bare = orUnverified("the stream", () => withoutReceipt(text, RECEIPT_CLOSERS[operation]));
    this.#chain = extendStream(chain, utf8(bare));
    this.#final = { text: bare, member: memberOf(receipt, asked) };
    this.#response = response;
    // A chunk that tells the usage by itself comes only where it was asked for; till then the answer is not whole.
    return operation === "response" || this.#final.member.usage !== undefined ? this.#conclude(this.#final) : [];
  }

  #give(bytes: Uint8Array): Uint8Array[] {
    if (!this.#terms.hold) return [bytes];
    this.#held.push(bytes);
    return [];
  }

  /** What follows the receipt is in no chain: the usage, which the receipt's commitment is over, and the end. */
  async #afterReceipt({ json }: Frame, bytes: Uint8Array): Promise<Uint8Array[]> {
    if (json === DONE) {
      this.end();
      this.#isOver = true;
      return [bytes];
    }
    if (this.#isVerified || this.#final === undefined) throw this.#fault("frames came after the end of the answer");
    const chunk = this.#json(json);
    if (!isJsonObject(chunk.usage) || !Array.isArray(chunk.choices) || chunk.choices.length > 0)
      throw this.#fault("frames came after the end of the answer");
    orUnverified("the stream", () => this.#chunks?.add(chunk));
    const { id = null, object = null, created = null, model = null, usage } = chunk;
    const covered = utf8(`data: ${JSON.stringify({ id, object, created, model, choices: [], usage })}\n\n`);
    return [...(await this.#conclude(this.#final)), covered];
  }

  /** Checks the whole answer, and gives all that was kept back. */
  async #conclude({ text, member }: Final): Promise<Uint8Array[]> {
    const { operation, asked, nodeKeys, onVerified } = this.#terms;
    const { opened, chain } = this.#begun();
    if (!equal(member.responseSalt, opened.salt))
      throw this.#fault("the receipt has another salt than the stream began with");
    const entry = orUnverified("the receipt that came with the answer", () => parseEntry(member.entry));
    if (!equal(entry.signed.keyId, opened.nodeKeyId))
      throw this.#fault("the receipt is signed by another key than the stream began with");
    const canonical = orUnverified("the answer", () => this.#canonical(member));
    const answer = orUnverified("the answer", () => encodeJsonAnswer(canonical));
    const answered = { receipt: member.entry, answer, salt: member.responseSalt, stream: chain, beside: member };
    const verified = await checkAnswer(asked, answered, nodeKeys);
    const key = await nodeKeys.get(opened.nodeKeyId, hex(this.#id));
    for (const seal of this.#unchecked.splice(0)) await this.#checkSeal(seal, key.spki);
    this.#isVerified = true;
    onVerified(verified);
    const own = withChecks(member, asked, verified.checks);
    const closers = RECEIPT_CLOSERS[operation];
    return [...this.#held.splice(0), utf8(`${addReceipt(text.slice(0, -2), closers, own)}\n\n`)];
  }

  #canonical({ usage }: ReceiptMember): JsonObject {
    if (this.#chunks !== undefined) return this.#chunks.answer(usage);
    return responseAnswerOf(this.#response ?? {});
  }

  #begun(): { opened: Opened; chain: StreamState } {
    if (this.#opened !== undefined && this.#chain !== undefined) return { opened: this.#opened, chain: this.#chain };
    throw this.#fault("the stream does not say how its chain begins");
  }

  #json(text: string): JsonObject {
    const value = findJson(text);
    if (isJsonObject(value)) return value;
    throw this.#fault("the stream has a frame that is no object of JSON");
  }
}

/** `body` as far as it holds. It errors with an UnverifiedError where it does not; `broken` makes the error of a lost connection. */
export function checkedStream(
  body: ReadableStream<Uint8Array>,
  check: StreamCheck,
  broken: (cause: unknown) => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();

  async function next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw broken(cause);
      });
      if (done) {
        check.end();
        return undefined;
      }
      const given = await check.take(value);
      if (given.length > 0) return concat(...given);
      if (check.isOver) return undefined;
    }
  }

  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const bytes = check.isOver ? undefined : await next();
          if (bytes !== undefined) return controller.enqueue(bytes);
          controller.close();
          await reader.cancel();
        } catch (error) {
          controller.error(error);
          await reader.cancel(error).catch(() => undefined); // It may be what broke.
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
