/**
 * The engine of models that run elsewhere: any upstream that speaks OpenAI's API (docs/operating/upstreams.md). What an upstream
 * sends is passed on as it comes; an answer counts once it is whole, in order and says what it used.
 */
import { type JsonObject, keyOf, revisionOf } from "@tallystick/protocol";
import type {
  Attempt,
  Delta,
  Embedded,
  EngineCall,
  Generated,
  GenerationOptions,
  Generator,
  RunModel,
  Unanswered,
} from "../node/generation.ts";
import { type Breaker, createBreaker, type Trial } from "../platform/breaker.ts";
import type { Clock } from "../platform/clock.ts";
import { systemCode } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import { createAnswer, type Whole } from "./answer.ts";
import type { UpstreamConfig, UpstreamModel } from "./config.ts";
import { readVectors } from "./embeddings.ts";
import { type Exchange, openExchange, type Response } from "./exchange.ts";
import { malformed, UpstreamFault } from "./fault.ts";
import { createPackage, type RelayedPackage } from "./package.ts";
import { choiceCount, inputCount, parameterFault, withoutOurs } from "./parameters.ts";
import { readRefusal, StatusFault, shownWords } from "./refusal.ts";
import { createSseReader, type SseEvent } from "./sse.ts";
import { openWatch, type Watch } from "./watch.ts";

export type RelayParts = { upstreams: readonly UpstreamConfig[]; clock: Clock; report: Report };

export type Relay = Generator & {
  /** What is to be published, so that it can be asked for. */
  readonly packages: readonly RelayedPackage[];
  /** How each upstream is, by its registered name. */
  view(): UpstreamView[];
  /** Ends every request that is under way. */
  close(): Promise<void>;
};

export type UpstreamView = { name: string; isOpen: boolean; inFlight: number };

type Upstream = { config: UpstreamConfig; exchange: Exchange; breaker: Breaker; inFlight: number };
type Served = { upstream: Upstream; model: UpstreamModel };

const BREAKER = { failuresMost: 5, openMs: 1_000, openMostMs: 60_000 };

/** Opens no connection before it is asked something. Throws an OperatorError where a model cannot be published. */
export function createRelay({ upstreams, clock, report }: RelayParts): Relay {
  const opened = upstreams.map((config): Upstream => {
    return { config, exchange: openExchange(config), breaker: createBreaker({ clock, ...BREAKER }), inFlight: 0 };
  });
  const packages: RelayedPackage[] = [];
  /** By the revision: a call of another version is not answered by this one. */
  const served = new Map<string, Served>();
  for (const upstream of opened)
    for (const model of upstream.config.models) {
      const made = createPackage(upstream.config.name, model);
      packages.push(made);
      served.set(keyOf(revisionOf(made.manifestBytes)), { upstream, model });
    }
  const find = ({ revision }: RunModel) => served.get(keyOf(revision));

  async function generate(published: RunModel, call: EngineCall, options: GenerationOptions): Promise<Generated> {
    const found = find(published);
    if (found === undefined) return notServed(published);
    const { config } = found.upstream;
    const stream = config.stream && options.isStreamed;
    const body: JsonObject = { ...call.body, stream };
    if (stream) body.stream_options = { include_usage: true };
    const path = call.operation === "chat" ? "/chat/completions" : "/completions";
    const answer = createAnswer(call.operation, choiceCount(call.operation, call.body));
    const read = async (response: Response, watch: Watch): Promise<Whole> => {
      const deliver = (deltas: readonly Delta[]): void | Promise<void> => {
        for (const [i, delta] of deltas.entries()) {
          const pending = options.onDelta(delta);
          if (pending instanceof Promise) return watch.waitFor(pending).then(() => deliver(deltas.slice(i + 1)));
        }
      };
      const type = mediaType(response);
      if (type === "text/event-stream") {
        await readEvents(response, (event) => deliver(answer.take(chunkOf(event))));
        return answer.end();
      }
      if (type !== "application/json") throw malformed("it is neither a stream of events nor JSON");
      const deltas = answer.take(await readJson(response));
      const whole = answer.end();
      await deliver(deltas);
      return whole;
    };
    // A whole answer begins when the last of it is written.
    const firstByteMs = stream ? config.timeouts.firstByteMs : config.timeouts.wholeMs;
    return ask(found, path, body, { ...options, firstByteMs }, read);
  }

  async function embed(
    published: RunModel,
    body: JsonObject,
    options: Pick<GenerationOptions, "deadlineMs" | "signal">,
  ): Promise<Embedded> {
    const found = find(published);
    if (found === undefined) return notServed(published);
    const travel = { encoding_format: found.upstream.config.embeddingFormat };
    const { firstByteMs } = found.upstream.config.timeouts;
    return ask(found, "/embeddings", { ...body, ...travel }, { ...options, firstByteMs }, async (response) => {
      if (mediaType(response) !== "application/json") throw malformed("it is no JSON");
      return readVectors(await readJson(response), inputCount(body.input), body.dimensions);
    });
  }

  async function ask<T extends object>(
    { upstream, model }: Served,
    path: string,
    body: JsonObject,
    { deadlineMs, signal, firstByteMs }: Pick<GenerationOptions, "deadlineMs" | "signal"> & { firstByteMs: number },
    read: (response: Response, watch: Watch) => Promise<T>,
  ): Promise<({ kind: "answered"; attempts: Attempt[] } & T) | Unanswered> {
    const { config, exchange, breaker } = upstream;
    if (upstream.inFlight >= config.concurrency) return overloaded(`the upstream ${config.name} has no place free`);
    const trial = breaker.admit();
    if (trial === undefined) return overloaded(`the upstream ${config.name} did not answer lately and is left alone`);
    upstream.inFlight++;
    const free = () => void upstream.inFlight--;
    const watch = openWatch(signal, Math.min(deadlineMs, config.timeouts.wholeMs));
    const text = JSON.stringify({ ...withoutOurs(body), model: model.upstreamModel });
    const attempts: Attempt[] = [];
    try {
      for (;;) {
        const startedMs = clock.nowMs();
        const attempted = (outcome: string) =>
          attempts.push({ at: config.name, outcome, ms: Math.max(0, clock.nowMs() - startedMs) });
        try {
          const { value, freed } = await exchange.ask(path, text, firstByteMs, watch, async (response) => {
            if (response.status !== 200) throw await readRefusal(response, clock.nowMs());
            return read(response, watch);
          });
          attempted("answered");
          trial.succeed();
          void freed.then(free);
          return { kind: "answered", ...value, attempts };
        } catch (error) {
          // A reader that went away fails as it likes.
          const fault = error instanceof UpstreamFault ? error : watch.stopped;
          if (fault === undefined) throw error;
          attempted(fault.kind);
          // Nothing was sent, which is certain here alone: whatever was sent may have been taken.
          if (fault.kind === "not_connected" && attempts.length < 2 && watch.stopped === undefined) continue;
          settle(trial, fault, watch.isUnderWay);
          tellOperator(config, model, fault);
          free();
          return unanswered(fault, attempts, { config, model, body });
        }
      }
    } catch (error) {
      trial.abandon();
      free();
      throw error;
    } finally {
      watch.close();
    }
  }

  function tellOperator({ name }: UpstreamConfig, model: UpstreamModel, fault: UpstreamFault): void {
    if (fault.kind === "cancelled" || isCallers(fault)) return;
    const code = fault instanceof StatusFault ? fault.code : systemCode(fault.cause);
    const remedy = fault instanceof StatusFault ? REMEDIES[fault.status] : REMEDIES[fault.kind];
    report("upstream gave no answer", {
      ...{ upstream: name, model: model.name, outcome: fault.kind },
      ...(code === undefined ? {} : { code }),
      ...(remedy === undefined ? {} : { remedy }),
    });
  }

  return {
    packages,
    view: () => opened.map(({ config: { name }, breaker: { isOpen }, inFlight }) => ({ name, isOpen, inFlight })),
    generate,
    embed,
    fault(published, operation, body) {
      const found = find(published);
      if (found !== undefined) return parameterFault(found.model, operation, body);
      return { param: "model", message: notServed(published).message };
    },
    async close() {
      await Promise.all(opened.map(({ exchange }) => exchange.close()));
    },
  };
}

/** What an operator can do about it. */
const REMEDIES: Record<string | number, string> = {
  401: "the upstream does not know its API key: look at apiKeyFile",
  402: "the upstream wants to be paid",
  403: "the API key may not do this at the upstream",
  404: "the upstream has no such model or path: look at url and upstreamModel",
  no_usage: 'where the upstream cannot tell its usage in a stream, say "stream": false',
};

/** Has `take` told of each event, to the end of the stream or to what says that it is one. A promise is waited for. */
async function readEvents(response: Response, take: (event: SseEvent) => void | Promise<void>): Promise<void> {
  const reader = createSseReader();
  for (let isOpen = true; isOpen; ) {
    const bytes = await response.next();
    isOpen = bytes !== undefined;
    for (const event of bytes === undefined ? reader.end() : reader.push(bytes)) {
      if (event.data === "[DONE]") return;
      const pending = take(event);
      if (pending instanceof Promise) await pending;
    }
  }
}

function chunkOf({ event, data }: SseEvent): unknown {
  if (event === "error") throw new UpstreamFault("error", "the upstream ended its answer with an error");
  return data === "" ? {} : parseJson(data, "a chunk");
}

const decoder = new TextDecoder("utf-8", { fatal: true });

async function readJson({ next }: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  for (let part = await next(); part !== undefined; part = await next()) parts.push(part);
  const [only] = parts;
  let text: string;
  try {
    text = decoder.decode(parts.length === 1 ? only : Buffer.concat(parts));
  } catch {
    throw malformed("it is no UTF-8");
  }
  return parseJson(text, "it");
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(`${what} is no JSON`);
  }
}

function mediaType({ headers }: Response): string | undefined {
  const type = headers["content-type"];
  if (type === "application/json") return type;
  return type?.split(";")[0]?.trim().toLowerCase();
}

/** Ways in which an upstream shows that it is away, or wants to be left alone. What a request can bring about is none of them. */
const AWAY: readonly string[] = [
  ...["not_connected", "connect_timeout", "reset", "first_byte_timeout", "between_chunks_timeout", "deadline"],
  ...[401, 402, 403, 429, 502, 503, 504].map((status) => `status_${status}`),
];

function settle(trial: Trial, fault: UpstreamFault, isUnderWay: boolean): void {
  const isLong = fault.kind === "deadline" && isUnderWay; // An answer that is long, and not an upstream that is away.
  if (fault.kind === "cancelled" || isLong) trial.abandon();
  else if (!AWAY.includes(fault.kind)) trial.succeed();
  else trial.fail(fault instanceof StatusFault ? fault.retryAfterMs : 0);
}

/** Whether the upstream refused the request for what it says. */
function isCallers(fault: UpstreamFault): fault is StatusFault {
  return fault instanceof StatusFault && [400, 413, 422].includes(fault.status);
}

const LATE: readonly string[] = ["first_byte_timeout", "between_chunks_timeout", "deadline"];

function unanswered(
  fault: UpstreamFault,
  attempts: Attempt[],
  { config, model, body }: { config: UpstreamConfig; model: UpstreamModel; body: JsonObject },
): Unanswered {
  if (fault.kind === "cancelled") return { kind: "cancelled", attempts };
  if (isCallers(fault)) {
    const secrets = [config.apiKey, config.url.host, config.url.hostname].filter((secret) => secret !== undefined);
    const words = shownWords(fault.words ?? "", secrets, [[model.upstreamModel, model.name]]);
    const message = `the upstream refuses the request${words === "" ? "" : `: ${words}`}`;
    const param = /^\w+/.exec(fault.param ?? "")?.[0] ?? ""; // As `messages` of "messages[0].content".
    return { kind: "refused", message, ...(Object.hasOwn(body, param) ? { param } : {}) };
  }
  if (fault.kind === "status_429" || fault.kind === "status_503")
    return overloaded(`the upstream ${config.name} takes no call now: try again later`);
  const reason = LATE.includes(fault.kind) ? "deadline" : "upstream";
  return { kind: "failed", reason, message: fault.message, attempts };
}

function overloaded(message: string): Extract<Unanswered, { kind: "overloaded" }> {
  return { kind: "overloaded", message };
}

function notServed({ manifest }: RunModel): Extract<Unanswered, { kind: "overloaded" }> {
  return overloaded(
    `${manifest.name} ${manifest.version} is relayed to an upstream that this node is not configured for`,
  );
}
