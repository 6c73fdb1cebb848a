/** What each route that takes a body is sent: right but for little, so that it is let in and read. */
import { base64 } from "@tallystick/protocol";
import { creditInput } from "../network.ts";

export type Samples = {
  model: string;
  chatModel: string;
  /** Of a call by API key, published. */
  receiptId: string;
  account: string;
  nodeId: string;
  spki: { node: Uint8Array; verifier: Uint8Array };
  dispatch: Uint8Array;
  enrolment: { node: Uint8Array; verifier: Uint8Array; relier: Uint8Array };
  verification: Uint8Array;
  dispute: Uint8Array;
  revocation: Uint8Array;
  evidence: Uint8Array;
  checkpoint: string;
  opening: string;
};

export type Token = "api" | "admin" | "node" | "verifier";

export type Body = {
  /** Where it goes; else to its route's own path. */
  at?: string;
  by: Token;
  /** Whose key signs the request. */
  signedBy?: "node" | "verifier";
  headers?: Record<string, string>;
} & ({ json: object } | { bytes: Uint8Array });

/** By the pattern of the route. A route that has none here is not fuzzed, which test/server/fuzz.test.ts does not let pass. */
export function bodiesOf(samples: Samples): ReadonlyMap<string, Body> {
  return new Map([...calls(samples), ...operations(samples), ...roles(samples)]);
}

function calls({ model, chatModel, dispatch }: Samples): [string, Body][] {
  const messages = [
    { role: "system", content: "Be short." },
    { role: "user", content: [{ type: "text", text: "Hello" }] },
    {
      ...{ role: "assistant", content: null },
      tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "1", content: "3" },
  ];
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];
  const sampling = { model: chatModel, temperature: 0.5, n: 1, stop: ["x"], seed: 3, max_tokens: 5 };
  const chat = { ...sampling, messages, tools, response_format: { type: "json_object" } };
  const response = { model: chatModel, input: [{ role: "user", content: "Hi" }], max_output_tokens: 5, store: true };
  const infer = {
    inputs: [creditInput()],
    outputs: [{ name: "default_probability" }],
    parameters: { max_price: 1 },
  };
  return [
    ["/v1/chat/completions", { by: "api", json: chat }],
    ["/v1/completions", { by: "api", json: { ...sampling, prompt: "Once" } }],
    ["/v1/embeddings", { by: "api", json: { model: chatModel, input: ["a", "b"], encoding_format: "base64" } }],
    ["/v1/responses", { by: "api", json: response }],
    ["/v2/models/:path{.+}", { by: "api", json: infer, at: `/v2/models/${model}/infer` }],
    ["/v2/repository/index", { by: "api", json: { ready: true } }],
    ["/v2/repository/models/:path{.+}", { by: "api", json: {}, at: `/v2/repository/models/${model}/load` }],
    ["/v1/infer", { by: "api", bytes: dispatch, headers: { "content-type": "application/cbor" } }],
  ];
}

function operations({ account, receiptId, enrolment, revocation, checkpoint, nodeId }: Samples): [string, Body][] {
  const session = {
    ...{ sessionKey: Buffer.alloc(91).toString("base64"), possession: Buffer.alloc(64).toString("base64") },
    expiry: 2_000_000_000,
  };
  const topup = { account, amount: "10", source: "transfer", reference: "ab".repeat(16) };
  const payout = { payee: nodeId, amount: "1", reference: "cd".repeat(16) };
  const reference = { action: "approve", technology: "nitro", measurement: "ab".repeat(32), release: "1.0.0" };
  const witnessed = Buffer.from(`old 0\n\n${checkpoint}`);
  return [
    ["/v1/sessions", { by: "api", json: session }],
    ["/v1/accounts", { by: "admin", json: { name: "a" } }],
    [
      "/v1/keys",
      { by: "admin", json: { name: "a", scopes: ["infer"], requestsPerMinute: 3 }, at: `/v1/keys?account=${account}` },
    ],
    ["/v1/settlements/topups", { by: "admin", json: topup }],
    ["/v1/settlements/refunds", { by: "admin", json: { receipt: receiptId, amount: "1", reason: "goodwill" } }],
    ["/v1/settlements/payouts", { by: "admin", json: payout }],
    ["/v1/query", { by: "admin", json: { sql: "select 1" } }],
    ["/v1/references", { by: "admin", json: reference }],
    ["/v1/backup", { by: "admin", json: {} }],
    ["/v1/nodes/:id/drain", { by: "admin", json: { drain: false }, at: `/v1/nodes/${nodeId}/drain` }],
    ["/v1/entries", { by: "api", bytes: enrolment.relier }],
    ["/v1/revocations", { by: "admin", bytes: revocation }],
    ["/witnesses/witness-1/add-checkpoint", { by: "api", bytes: witnessed }],
    ["/witnesses/witness-2/add-checkpoint", { by: "api", bytes: witnessed }],
  ];
}

function roles(samples: Samples): [string, Body][] {
  const { spki, enrolment, receiptId, evidence, verification, dispute } = samples;
  const report = {
    ...{ url: "http://127.0.0.1:1", name: "fuzzed", engines: [], revisions: [], warm: [], tiers: ["signed"] },
    ...{ priceFloor: "0", running: 0, waiting: 0, capacity: 1, draining: false },
  };
  const node = { by: "node", signedBy: "node", headers: { "tallystick-key": base64(spki.node) } } as const;
  const verifier = {
    ...node,
    by: "verifier",
    signedBy: "verifier",
    headers: { "tallystick-key": base64(spki.verifier) },
  } as const;
  return [
    ["/v1/nodes/register", { ...node, json: { report, enrolment: base64(enrolment.node) } }],
    ["/v1/nodes/heartbeat", { ...node, json: report }],
    ["/v1/nodes/attestation/challenge", { ...node, bytes: new Uint8Array(0) }],
    ["/v1/nodes/attestation", { ...node, bytes: evidence }],
    ["/v1/verifiers/register", { ...verifier, json: { enrolment: base64(enrolment.verifier) } }],
    ["/v1/verifications", { by: "verifier", bytes: verification }],
    ["/v1/disputes", { by: "api", bytes: dispute }],
    ["/v1/receipts/:id/check", { by: "api", json: {}, at: `/v1/receipts/${receiptId}/check` }],
  ];
}
