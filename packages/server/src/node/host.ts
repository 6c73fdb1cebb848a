/**
 * A node on a machine of its own: takes what its gateway dispatches, and says of each whether it took it up. Before that it
 * waits until it has read in the log what the call rests on, and until the model is loaded.
 */
import {
  type Dispatch,
  encodeJson,
  type FoldState,
  hex,
  keyOf,
  Malformed,
  type NodeReply,
  type NodeTimes,
  type PublishedModel,
  parseAuthorization,
  REFUSAL_TEXT_LENGTH,
  signedId,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import { Stop, type StopSignal } from "../platform/stop.ts";
import type { Loading } from "./loading.ts";
import type { InferenceNode, Served } from "./service.ts";

export type HostParts = {
  node: InferenceNode;
  loading: Loading;
  fold: FoldState;
  clock: Clock;
  report: Report;
  /** Reads the log on until `isThere`, or for so long. */
  readOn(isThere: () => boolean, withinMs: number): Promise<void>;
  /** Whether a receipt under this id was signed that the log may not have. */
  isUnsettled(id: Uint8Array): boolean;
  /** Whether this node serves the revision. */
  offers(model: PublishedModel): boolean;
  priceFloorAtomic: bigint;
  /** Calls that may be here at once, those that wait included. */
  callsMost: number;
};

/** Told a stream's frames, each awaited. */
export type Sink = (frame: Uint8Array) => void | Promise<void>;

export type NodeHost = {
  /** Never throws: every end has its reply. */
  take(dispatch: Dispatch, sink: Sink): Promise<NodeReply>;
  /** Nobody waits any more for the call whose receipt has this id. */
  cancel(id: Uint8Array): void;
  /** Takes no more calls, or takes them again. */
  setDrain(drain: boolean): void;
  readonly isDraining: boolean;
  readonly callCount: number;
  /** Resolves once no call is here. */
  idle(): Promise<void>;
};

/** How long a call waits for the session that it names to be read in the log, which publishes every second. */
const LOG_MS = 10_000;

export function createNodeHost(parts: HostParts): NodeHost {
  const { node, loading, fold, clock, isUnsettled } = parts;
  /** Calls under way, by the hex of their id; and who waits until there are none. */
  const calls = new Map<string, Stop>();
  const idlers: (() => void)[] = [];
  let draining = false;

  /** What the call rests on, read in the log. Throws where that is not to be had. */
  async function findModel(bytes: Uint8Array): Promise<PublishedModel> {
    const { says } = parseAuthorization(bytes);
    const [session, revision] = [keyOf(says.session), keyOf(says.revision)];
    await parts.readOn(() => fold.sessions.has(session) && fold.models.has(revision), LOG_MS);
    const model = fold.models.get(revision);
    if (model === undefined || !parts.offers(model))
      throw new ServiceError("unavailable", `this node does not serve the revision ${hex(says.revision)}`);
    if (says.maxPrice < parts.priceFloorAtomic)
      throw new ServiceError("unavailable", `this node works for ${parts.priceFloorAtomic} a call at least`);
    return model;
  }

  async function serve(dispatch: Dispatch, sink: Sink, signal: StopSignal): Promise<Served> {
    if (dispatch.stream === undefined) return node.serve(dispatch, undefined, signal);
    return node.stream(dispatch, { sink, signal });
  }

  async function run(dispatch: Dispatch, sink: Sink, id: Uint8Array, signal: StopSignal): Promise<NodeReply> {
    const times: NodeTimes = { queueMs: 0, loadMs: 0, serveMs: 0 };
    try {
      Object.assign(times, await loading.load(await findModel(dispatch.authorization)));
      const begunMs = clock.nowMs();
      const served = await serve(dispatch, sink, signal);
      times.serveMs = Math.max(0, clock.nowMs() - begunMs);
      return replyOf(served, times);
    } catch (error) {
      if (!(error instanceof ServiceError) && !(error instanceof Malformed))
        parts.report("internal error", {
          error: String(error),
          stack: error instanceof Error ? error.stack : undefined,
        });
      return { outcome: isUnsettled(id) ? "unknown" : "not_taken", times, refusal: wordsOf(error) };
    }
  }

  return {
    async take(dispatch, sink) {
      if (draining) return refused({ code: "unavailable", message: "this node is draining: ask another" });
      if (calls.size >= parts.callsMost)
        return refused({ code: "unavailable", message: `${calls.size} calls are here already: ask another node` });
      let id: Uint8Array;
      try {
        id = signedId(parseAuthorization(dispatch.authorization).signed);
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        return refused(wordsOf(error));
      }
      const name = hex(id);
      if (calls.has(name)) return refused(wordsOf(twice(name)));
      const call = new Stop();
      calls.set(name, call);
      try {
        return await run(dispatch, sink, id, call.signal);
      } finally {
        calls.delete(name);
        if (calls.size === 0) for (const resolve of idlers.splice(0)) resolve();
      }
    },

    cancel: (id) => calls.get(hex(id))?.abort(),

    setDrain(drain) {
      draining = drain;
    },

    get isDraining() {
      return draining;
    },

    get callCount() {
      return calls.size;
    },

    idle: () => new Promise((resolve) => (calls.size === 0 ? resolve() : void idlers.push(resolve))),
  };
}

function replyOf(served: Served, times: NodeTimes): NodeReply {
  const receipt = { id: served.id, index: served.index, bytes: served.receipt };
  const common = { times, receipt, disclosure: encodeJson(served.disclosure) };
  if (!served.ok) return { outcome: "unanswered", ...common, refusal: wordsOf(served.refusal) };
  const { answer: bytes, salt, body } = served;
  const answer = { bytes, salt, ...(body === undefined ? {} : { body: encodeJson(body) }) };
  return { outcome: "answered", ...common, answer };
}

function refused(refusal: { code: string; message: string }): NodeReply {
  return { outcome: "not_taken", times: { queueMs: 0, loadMs: 0, serveMs: 0 }, refusal };
}

function twice(id: string): ServiceError {
  return new ServiceError("conflict", `the authorization ${id} is being served already`);
}

/** What a reply says of an error. A fault of ours is not told to strangers. */
function wordsOf(error: unknown): { code: string; message: string; param?: string } {
  if (error instanceof ServiceError) {
    const { code, message, param } = error;
    return { code, message: message.slice(0, REFUSAL_TEXT_LENGTH), ...(param === undefined ? {} : { param }) };
  }
  if (error instanceof Malformed) return { code: "invalid_request", message: `the authorization ${error.message}` };
  return { code: "internal", message: "something went wrong at the node; it was logged there" };
}
