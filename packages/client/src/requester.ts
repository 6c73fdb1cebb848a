/** Who asks: a session key of its own, the models as the network describes them, the keys of the nodes that answer. */
import { type AcceptancePolicy, acceptanceJson, commit, type JsonObject, type LogTrust } from "@tallystick/protocol";
import { createAcceptance, readPolicy, requireShowable } from "./acceptance.ts";
import type { Asked } from "./answer-check.ts";
import { type Edges, systemEdges } from "./edges.ts";
import type { RefusedError } from "./errors.ts";
import { createHttp, type Http } from "./http.ts";
import { getModel, type Model } from "./models.ts";
import { createNodeKeys, type NodeKeys } from "./node-keys.ts";
import { type AskedTier, type ClientSession, type KeptSession, keepSession, openSession } from "./session.ts";

export type RequesterOptions = {
  /** Where the network is reached. */
  url: string;
  /** Needed to ask; reading and verifying need none. */
  apiKey?: string;
  /** The app that asks, for everybody to see: the log names it with every session. Without it, none is named. */
  app?: string;
  /** Whose checkpoints to believe: from somewhere else than the network itself. */
  trust?: LogTrust;
  edges?: Partial<Edges>;
};

/** What a caller may say of a call beside what it asks. */
export type CallTerms = {
  /** The most that the call may cost, in atomic units. */
  maxPrice?: bigint;
  traffic?: "production" | "test" | "probe";
  /** Whether a verifier that is drawn for it may see the call and its answer: it may (`lot`) unless this says `none`. */
  open?: "none" | "lot";
  /** What the answer is to come to: the word of its node (`signed`), a check by a verifier, or a proof. */
  tier?: AskedTier;
  /** 16 bytes of the caller's, the same on every call behind one decision. */
  decision?: Uint8Array;
  /** The least that is accepted of the answer, in the JSON of docs/policy.md; of a client, where a call says nothing else. */
  policy?: JsonObject;
};

/** A call that is signed and not sent yet. */
export type Signed = Asked & {
  /** The header that tells the network what is accepted. */
  policyHeader: Record<string, string>;
  /** The network took it: its nonce is used. */
  taken(): void;
  /** The network refused it: where that was for its session, the next call opens another. */
  refused(error: RefusedError): void;
};

export type Requester = {
  http: Http;
  edges: Edges;
  nodeKeys: NodeKeys;
  sessions: KeptSession;
  /** The model that the network means by `name`, as it said within the last minute. */
  model(name: string): Promise<Model>;
  /** What was signed under an Idempotency-Key, `signed` with it: a network answers all of it with the receipt of one. */
  signedUnder(idempotencyKey: string, signed: Signed): readonly Signed[];
  /** Signs the requester's half of a call, given in its canonical bytes. */
  sign(
    model: Pick<Model, "revisionDigest" | "name" | "artifacts">,
    call: Uint8Array,
    terms: CallTerms & { maxPrice: bigint; bodyPolicy?: unknown },
  ): Promise<Signed>;
};

/** What the network says of a session or nonce that it does not take; of a call it never says these. */
const SESSION_REFUSED: ReadonlySet<string> = new Set(["conflict", "forbidden"]);
/** A publisher may publish another revision or price at any time; the network refuses the old one then. */
const MODEL_KEPT_MS = 60_000;
const MODELS_KEPT = 256;
/** Keys under which calls are remembered, and calls of one of them: clients give up after a few. */
const IDEMPOTENCY_KEYS_KEPT = 64;
const CALLS_OF_A_KEY = 8;

export function createRequester({ url, apiKey, app, trust, edges: given = {} }: RequesterOptions): Requester {
  const edges = { ...systemEdges, ...given };
  const http = createHttp(url, edges);
  const accepting = createAcceptance(http, edges);
  const models = new Map<string, { model: Promise<Model>; untilMs: number }>();
  const underKeys = new Map<string, Signed[]>();
  const sessions = keepSession(async () => {
    if (apiKey === undefined) throw new TypeError("asking needs an API key: createClient({ url, apiKey })");
    return openSession(http, { apiKey, app }, edges);
  });

  /** Loaded where it is asked for: a field's arithmetic, which other calls do without. */
  async function proved(model: Pick<Model, "name" | "artifacts">, call: Uint8Array, salt: Uint8Array) {
    const { commitProved } = await import("./proved-request.ts");
    return commitProved(http, model, call, salt);
  }

  function signedBy(session: ClientSession, asked: Asked, policy: AcceptancePolicy | undefined): Signed {
    return {
      ...asked,
      policyHeader: policy === undefined ? {} : { "x-tally-policy": JSON.stringify(acceptanceJson(policy)) },
      taken: () => session.taken(asked.authorization),
      refused(error) {
        models.clear();
        if (SESSION_REFUSED.has(error.code)) sessions.drop(session);
      },
    };
  }

  return {
    http,
    edges,
    sessions,
    nodeKeys: createNodeKeys(http, edges, trust),

    async model(name) {
      const kept = models.get(name);
      if (kept !== undefined && kept.untilMs > edges.nowMs()) return kept.model;
      const model = getModel(http, name);
      if (models.size >= MODELS_KEPT) models.clear();
      models.set(name, { model, untilMs: edges.nowMs() + MODEL_KEPT_MS });
      model.catch(() => models.delete(name));
      return model;
    },

    signedUnder(key, signed) {
      const [oldest] = underKeys.keys();
      if (underKeys.size >= IDEMPOTENCY_KEYS_KEPT && oldest !== undefined && !underKeys.has(key))
        underKeys.delete(oldest);
      const all = [...(underKeys.get(key) ?? []), signed].slice(-CALLS_OF_A_KEY);
      underKeys.set(key, all);
      return all;
    },

    async sign(model, call, terms) {
      const { revisionDigest: revision, name } = model;
      const { maxPrice, traffic = "production", open = "lot", decision, tier = "signed" } = terms;
      const policy = terms.policy === undefined ? undefined : readPolicy(terms.policy);
      const inBody = terms.bodyPolicy === undefined ? [] : [readPolicy(terms.bodyPolicy)];
      const policies = [...(policy === undefined ? [] : [policy]), ...inBody];
      requireShowable(policies, name);
      const salt = edges.random(32);
      const named = decision === undefined ? {} : { decision };
      const request = tier === "proved" ? await proved(model, call, salt) : commit("request", salt, call);
      const ask = { revision, request, tier, maxPrice, traffic, openness: open, ...named };
      const { session, authorization } = await sessions.authorize(ask);
      const accept = policies.length === 0 ? {} : { accept: accepting(policies) };
      return signedBy(session, { authorization, salt, call, ...accept }, policy);
    },
  };
}
