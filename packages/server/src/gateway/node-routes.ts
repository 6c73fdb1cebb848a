/** The gateway's doors for its nodes: they come in by the operator's token and their own signature, and say how they are. */
import {
  type Entry,
  type FoldState,
  hex,
  keyId,
  keyOf,
  Malformed,
  mayAct,
  parseBase64,
  parseEntry,
  TIERS,
  type Tier,
  verifySigned,
} from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { readBody } from "../platform/http.ts";
import { checkRequest } from "../platform/http-signature.ts";
import { HEARTBEAT_MS, type NodeRegistry, type NodeReport, REVISIONS_MOST } from "./nodes.ts";

export type NodeRoutesParts = {
  registry: NodeRegistry;
  fold: FoldState;
  clock: Clock;
  /** The id of the gateway's key: what a node signs is for this gateway. */
  id: Uint8Array;
  /** Where the gateway is reached. */
  url: string;
  /** Whether a header has the token by which this operator's nodes come in. */
  isNode(header: string | undefined): boolean;
  isAdmin(header: string | undefined): boolean;
  /** Appends an entry and resolves once the fold has it. */
  publish(entry: Uint8Array): Promise<number>;
};

/** 2,000 revisions, each offered and loaded, fit. */
const REPORT_SIZE_BYTES = 512 * 1024;

const revisions = z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(REVISIONS_MOST);
const count = z.number().int().min(0).max(1_000_000);
const Report = z.strictObject({
  url: z.string().max(512),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  engines: z.array(z.string().regex(/^[a-z-]{1,32}$/)).max(16),
  revisions,
  warm: revisions,
  tiers: z.array(z.enum(Object.keys(TIERS) as [Tier, ...Tier[]])).max(8),
  priceFloor: z.string().regex(/^(0|[1-9][0-9]{0,18})$/),
  running: count,
  waiting: count,
  capacity: count.min(1),
  draining: z.boolean(),
});
const Registration = z.strictObject({ report: Report, enrolment: z.string().max(1_024) });
const Drain = z.strictObject({ drain: z.boolean() });

export function nodeRoutes({ registry, fold, clock, id, url, isNode, isAdmin, publish }: NodeRoutesParts): Hono {
  const app = new Hono();

  /** What a node says, by the key that signed it: one of `findKey`. */
  async function signedJson(c: Context, findKey: (id: Uint8Array) => Uint8Array | undefined) {
    if (!isNode(c.req.header("authorization")))
      throw new ServiceError("forbidden", "nodes come in by the token that this gateway's operator gave them");
    const { method, path } = c.req;
    const request = { method, path, header: (name: string) => c.req.header(name) };
    const signed = await checkRequest(request, { to: id, nowSeconds: nowSeconds(clock), findKey });
    const body = await readBody(c, REPORT_SIZE_BYTES);
    signed.checkBody(body);
    return { keyId: signed.keyId, json: parseJson(body) };
  }

  /** The key of an enrolled node: of a revoked one nothing is heard, so that it gets no calls. */
  function enrolled(kid: Uint8Array): Uint8Array | undefined {
    return mayAct(fold, keyOf(kid), "node") ? fold.keys.get(keyOf(kid))?.spki : undefined;
  }

  app.post("/v1/nodes/register", async (c) => {
    // Its key may not be in the log yet: then it comes with the entry that enrols it, which that key has signed.
    const spki = parseBase64(c.req.header("tallystick-key") ?? "");
    const { keyId: kid, json } = await signedJson(
      c,
      (asked) => enrolled(asked) ?? (spki !== undefined && keyOf(keyId(spki)) === keyOf(asked) ? spki : undefined),
    );
    const { report, enrolment } = parse(Registration, json);
    requireReachable(report.url, url);
    if (enrolled(kid) === undefined) await enrol(kid, parseBase64(enrolment));
    registry.register(kid, reportOf(report));
    return c.json({ id: hex(kid), heartbeatMs: HEARTBEAT_MS });
  });

  /** Enrols a node's key. Only here is one enrolled: the log's own door refuses them. */
  async function enrol(kid: Uint8Array, bytes: Uint8Array | undefined): Promise<void> {
    const entry = entryOf(bytes);
    const known = fold.keys.get(keyOf(kid));
    if (known !== undefined)
      throw new ServiceError(
        "forbidden",
        `this key is the network's ${known.role} key, or a retired or revoked one: make another`,
      );
    const isIts =
      entry?.kind === "key" &&
      entry.says.action === "enrol" &&
      entry.says.role === "node" &&
      keyOf(keyId(entry.says.spki)) === keyOf(kid) &&
      (await verifySigned(entry.signed, entry.says.spki));
    if (!isIts || entry === undefined)
      throw new ServiceError("invalid_request", "the enrolment is not an entry by which this key enrols as a node");
    await publish(entry.signed.bytes);
  }

  app.post("/v1/nodes/heartbeat", async (c) => {
    const { keyId: kid, json } = await signedJson(c, enrolled);
    return c.json(registry.heartbeat(kid, reportOf(parse(Report, json))));
  });

  app.get("/v1/nodes", (c) =>
    c.json({
      nodes: registry.view(),
      meta: { source: "gateway", note: "what this gateway sees just now; no figure, and not from the log" },
    }),
  );

  app.post("/v1/nodes/:id/drain", async (c) => {
    if (!isAdmin(c.req.header("authorization")))
      throw new ServiceError("forbidden", "only the operator drains nodes: send the token in keys/admin-token");
    const { drain } = parse(Drain, parseJson(await readBody(c, 1_024)));
    registry.setDrain(c.req.param("id"), drain);
    return c.json({ id: c.req.param("id"), drain });
  });

  return app;
}

const ON_THIS_MACHINE = /^http:\/\/(127\.[0-9.]+|\[::1\]|localhost)(:|$)/;

/**
 * By TLS; in clear only within one machine, and only where the gateway serves that machine alone: else a node elsewhere could
 * have the gateway send requests to whatever listens beside it.
 */
function requireReachable(url: string, gatewayUrl: string): void {
  const isOrigin = URL.canParse(url) && new URL(url).origin === url;
  if (isOrigin && (url.startsWith("https://") || (ON_THIS_MACHINE.test(url) && ON_THIS_MACHINE.test(gatewayUrl))))
    return;
  throw new ServiceError(
    "invalid_request",
    `a node listens at an https origin, or on loopback where its gateway does too: not at ${JSON.stringify(url)}`,
  );
}

function reportOf({ priceFloor, ...report }: z.infer<typeof Report>): NodeReport {
  return { ...report, priceFloorAtomic: BigInt(priceFloor) };
}

function parse<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ServiceError(
    "invalid_request",
    `what the node says of itself is malformed: ${z.prettifyError(parsed.error)}`,
  );
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ServiceError("invalid_request", "the body is not JSON", { cause });
  }
}

function entryOf(bytes: Uint8Array | undefined): Entry | undefined {
  try {
    return bytes === undefined ? undefined : parseEntry(bytes);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
