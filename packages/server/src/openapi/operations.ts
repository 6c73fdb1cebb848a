/** Every operation of the HTTP API but those of usage and analytics, which say more of themselves: what each is, and who may ask for it. */

/** Whose word a request needs: an API key, a token of the operator's, or a signature over the request (RFC 9421). */
export type Caller = "key" | "operator" | "node" | "verifier" | "signature";

export type Operation = {
  method: "get" | "post" | "delete";
  /** As OpenAPI writes it: `/v1/models/{name}`. */
  path: string;
  summary: string;
  /** Lacks where anybody may ask. */
  by?: Caller;
  /** The media type of the body that it takes, JSON where it says nothing; a GET takes none. */
  takes?: string;
  /** The media type of its answer, JSON where it says nothing. */
  gives?: string;
  status?: number;
  parameters?: readonly object[];
  /** JSON Schema of the body that it takes. */
  body?: object;
  /** JSON Schema of its answer, by media type where there are several. */
  answers?: Readonly<Record<string, object>>;
};

const BYTES = "application/octet-stream";
const CBOR = "application/cbor";
const TEXT = "text/plain; charset=utf-8";

type Rest = Partial<Pick<Operation, "by" | "takes" | "gives" | "status">>;
const of =
  (method: Operation["method"]) =>
  (path: string, summary: string, rest: Rest = {}): Operation => ({ method, path, summary, ...rest });
const [get, post, erase] = [of("get"), of("post"), of("delete")];
const KEY: Rest = { by: "key" };
const OPERATOR: Rest = { by: "operator" };

const PAGES = [
  get("/", "The page: headline, usage, models, days and receipts", { gives: "text/html" }),
  get("/usage", "The page of usage: strata, ranking, metrics and who recomputed them", { gives: "text/html" }),
  get("/errors", "The page of errors: every type of refusal, what it means and what to do", { gives: "text/html" }),
  get("/assets/{path}", "A file that the pages link to", { gives: BYTES }),
  get("/openapi.json", "This document"),
];

const LOG = [
  get("/checkpoint", "The log's newest checkpoint (C2SP tlog-tiles)", { gives: TEXT }),
  get("/tile/{path}", "A tile or an entry bundle of the log (C2SP tlog-tiles)", { gives: BYTES }),
  get("/checkpoints/checkpoint", "The newest checkpoint of the log of checkpoints", { gives: TEXT }),
  get("/checkpoints/tile/{path}", "A tile or an entry bundle of the log of checkpoints", { gives: BYTES }),
  get("/v1/log", "The log's key, policy, witnesses and sizes"),
  get("/v1/log/checkpoints/{size}", "The checkpoint of so many entries, or the next that was kept", { gives: TEXT }),
  get("/v1/log/proofs/{index}", "An entry's inclusion proof (C2SP tlog-proof)", { gives: TEXT }),
  get("/v1/log/cose-receipts/{index}", "An entry's inclusion as a COSE Receipt", { gives: "application/cose" }),
  post("/v1/entries", "Submits an entry that its signer may say for itself", { takes: BYTES }),
  post("/v1/revocations", "Logs what attestation is no longer believed of", { ...OPERATOR, takes: BYTES }),
  ...["witness-1", "witness-2"].flatMap((name) => [
    post(`/witnesses/${name}/add-checkpoint`, "Asks for a cosignature (C2SP tlog-witness)", {
      takes: TEXT,
      gives: TEXT,
    }),
    get(`/witnesses/${name}/{originHash}/checkpoint`, "The newest checkpoint that it cosigned", { gives: TEXT }),
  ]),
];

const MODELS = [
  get("/v1/models", "The models that are offered, as OpenAI lists them"),
  get("/v1/models/{name}", "A model, with its manifest"),
  get("/v1/artifacts/{digest}", "A model's file, by its SHA-256", { gives: BYTES }),
  get("/v1/quote", "What a call of a model costs"),
];

const CALLS = [
  post("/v1/chat/completions", "A chat, as OpenAI has it", KEY),
  get("/v1/chat/completions/{id}", "A chat's answer that was kept", KEY),
  erase("/v1/chat/completions/{id}", "Erases it", KEY),
  post("/v1/completions", "A completion, as OpenAI has it", KEY),
  post("/v1/embeddings", "Embeddings, as OpenAI has them", KEY),
  post("/v1/responses", "A response, as OpenAI has it", KEY),
  get("/v1/responses/{id}", "A response that was kept", KEY),
  erase("/v1/responses/{id}", "Erases it", KEY),
  post("/v1/infer", "A call that its requester authorized with a key of its own", { takes: CBOR, gives: CBOR }),
  post("/v1/sessions", "A session for a key of the requester's own", { ...KEY, status: 201 }),
  get("/v2", "The server, as the Open Inference Protocol has it"),
  get("/v2/health/live", "Whether it runs"),
  get("/v2/health/ready", "Whether calls can be taken"),
  get("/v2/models/{name}", "A model's inputs and outputs"),
  get("/v2/models/{name}/ready", "Whether a model can be called"),
  post("/v2/models/{name}/infer", "A call of a model", KEY),
  get("/v2/models/{name}/versions/{version}", "The inputs and outputs of one version"),
  get("/v2/models/{name}/versions/{version}/ready", "Whether that version can be called"),
  post("/v2/models/{name}/versions/{version}/infer", "A call of that version", KEY),
  post("/v2/repository/index", "The models, as Triton lists them"),
  post("/v2/repository/models/{name}/load", "Refused: a model is offered by being published", {}),
  post("/v2/repository/models/{name}/unload", "Refused: a model is withdrawn in the log", {}),
];

const RECEIPTS = [
  get("/v1/receipts", "The latest receipts"),
  get("/v1/receipts/{id}", "A receipt's file: all that it takes to verify it alone"),
  get("/v1/receipts/{id}/opening", "The salts of a receipt's commitments", KEY),
  erase("/v1/receipts/{id}/opening", "Erases them: nobody can open the receipt any more", KEY),
  get("/v1/receipts/{id}/opening/lot", "The call and the answer, for the verifier that the lot drew", {
    by: "signature",
    gives: CBOR,
  }),
  get("/v1/receipts/{id}/proof", "The proof of an answer, where there is one", { gives: BYTES }),
  post("/v1/receipts/{id}/check", "Asks a verifier to run a call again", { status: 202 }),
  get("/v1/verification-keys/{digest}", "A circuit's verification key", { gives: BYTES }),
  post("/v1/verifications", "Submits what a verifier found", { takes: CBOR }),
  get("/v1/verifications/{receipt}", "What was stated of a receipt"),
  get("/v1/evidence/{digest}", "What a statement rests on"),
  post("/v1/disputes", "Disputes an answer before the referee", { takes: CBOR }),
];

const ROLES = [
  get("/v1/nodes", "The nodes that serve"),
  post("/v1/nodes/register", "A node comes in", { by: "node", takes: BYTES }),
  post("/v1/nodes/heartbeat", "A node says how it is", { by: "node" }),
  post("/v1/nodes/{id}/drain", "A node is given no more calls", OPERATOR),
  post("/v1/nodes/attestation/challenge", "A nonce for a node's evidence", { by: "node" }),
  post("/v1/nodes/attestation", "A node's evidence is appraised", { by: "node", takes: CBOR }),
  get("/v1/attestations/{digest}", "Evidence that was appraised", { gives: BYTES }),
  post("/v1/references", "Approves or withdraws a measurement", OPERATOR),
  post("/v1/verifiers/register", "A verifier comes in", { by: "verifier", takes: BYTES }),
  get("/v1/checks", "What a verifier was asked to check", { by: "signature" }),
];

const ACCOUNTS = [
  post("/v1/accounts", "Makes an account", { ...OPERATOR, status: 201 }),
  get("/v1/accounts", "The accounts", OPERATOR),
  post("/v1/keys", "Makes an API key", { ...KEY, status: 201 }),
  get("/v1/keys", "The account's API keys", KEY),
  get("/v1/keys/{id}", "An API key", KEY),
  erase("/v1/keys/{id}", "Revokes it", KEY),
  get("/v1/apps", "Calls by the app that they named", KEY),
  get("/v1/balance", "What the account may spend", KEY),
  get("/v1/earnings", "What each key has earned, by the log"),
  post("/v1/settlements/topups", "Gives an account credits", OPERATOR),
  post("/v1/settlements/refunds", "Gives back what a receipt cost", OPERATOR),
  post("/v1/settlements/payouts", "Logs that a payee was paid", OPERATOR),
];

const OPERATING = [
  get("/v1/network", "Where the network is, and the key of its log"),
  get("/healthz", "Whether the process runs"),
  get("/readyz", "Whether calls can be taken"),
  get("/metrics", "Metrics, as Prometheus reads them", { gives: TEXT }),
  post("/v1/backup", "Copies what only this server has", { ...OPERATOR, status: 201 }),
];

/** By what they are about, in the order of the document. */
export const OPERATIONS: Readonly<Record<string, readonly Operation[]>> = {
  Models: MODELS,
  Calls: CALLS,
  Receipts: RECEIPTS,
  Log: LOG,
  Roles: ROLES,
  Accounts: ACCOUNTS,
  Operating: OPERATING,
  Pages: PAGES,
};
