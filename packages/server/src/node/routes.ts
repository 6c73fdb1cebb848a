/** A node on a machine of its own, over HTTP: its gateway's dispatches, each signed by the gateway (docs/spec/node.md). */
import {
  CALL_SIZE_BYTES,
  type Dispatch,
  encodeNodeRecord,
  encodeNodeReply,
  type FoldState,
  keyOf,
  Malformed,
  type NodeReply,
  parseAuthorization,
  parseDispatch,
  signedId,
} from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { errorResponse, type Report, readBody } from "../platform/http.ts";
import { checkRequest } from "../platform/http-signature.ts";
import type { NodeHost, Sink } from "./host.ts";

export type NodeRoutes = {
  /** Throws unavailable while the node is starting. */
  host(): NodeHost;
  /** The id of this node's key. */
  id: Uint8Array;
  fold: FoldState;
  clock: Clock;
  report: Report;
  /** Whether calls are taken: the log is followed, and the gateway knows this node. */
  isReady(): boolean;
  /** Answers verifiers and referees. */
  answerOpening(c: Context): Promise<Response>;
};

/** An authorization and a salt beside the call. */
const DISPATCH_SIZE_BYTES = CALL_SIZE_BYTES + 16_384;
const RECORDS = "application/vnd.tallystick.records";
/** Frames that may wait for a gateway that reads slowly. */
const FRAMES_AHEAD = 16;

export function nodeRoutes({ host, id, fold, clock, report, isReady, answerOpening }: NodeRoutes): Hono {
  const app = new Hono();
  app.get("/v1/receipts/:id/opening/lot", answerOpening);

  /** A body that a gateway of this network signed; nobody else's is so much as read. */
  async function signedBody(c: Context, limitBytes: number): Promise<Uint8Array> {
    const { method, path } = c.req;
    const request = { method, path, header: (name: string) => c.req.header(name) };
    const signed = await checkRequest(request, {
      to: id,
      nowSeconds: nowSeconds(clock),
      findKey(kid) {
        const key = fold.keys.get(keyOf(kid));
        return key?.role === "gateway" && !key.retired ? key.spki : undefined;
      },
    });
    const body = await readBody(c, limitBytes);
    signed.checkBody(body);
    return body;
  }

  app.get("/v1/health/live", (c) => c.json({ live: true }));
  app.get("/v1/health/ready", (c) => c.json({ ready: isReady() }, isReady() ? 200 : 503));

  app.post("/v1/dispatch", async (c) => {
    const dispatch = readDispatch(await signedBody(c, DISPATCH_SIZE_BYTES));
    const receiptId = signedId(parseAuthorization(dispatch.authorization).signed);
    const node = host();
    const take = (sink: Sink) => node.take(dispatch, sink);
    const cancel = () => node.cancel(receiptId);
    c.header("content-type", RECORDS);
    if (dispatch.stream !== undefined) return c.body(recordsOf(take, cancel));
    c.req.raw.signal.addEventListener("abort", cancel, { once: true });
    return c.body(replyRecord(await take(() => {})) as Uint8Array<ArrayBuffer>);
  });

  app.post("/v1/dispatch/cancel", async (c) => {
    host().cancel(await signedBody(c, 32));
    return c.json({});
  });

  app.notFound((c) =>
    errorResponse(c, new ServiceError("not_found", `nothing at ${c.req.method} ${c.req.path}`), report),
  );
  app.onError((error, c) => {
    c.header("tallystick-taken", "no"); // What is thrown here was before anything was taken up.
    return errorResponse(c, error, report);
  });
  return app;
}

function readDispatch(bytes: Uint8Array): Dispatch {
  try {
    const dispatch = parseDispatch(bytes);
    parseAuthorization(dispatch.authorization);
    return dispatch;
  } catch (cause) {
    if (cause instanceof Malformed) throw new ServiceError("invalid_request", `the body ${cause.message}`, { cause });
    throw cause;
  }
}

const replyRecord = (reply: NodeReply) => encodeNodeRecord({ kind: "reply", bytes: encodeNodeReply(reply) });

/** Frames as they come and the reply as the last, no faster than they are read. */
function recordsOf(take: (sink: Sink) => Promise<NodeReply>, cancel: () => void): ReadableStream<Uint8Array> {
  let isRead: (() => void) | undefined;
  let isGone = false;
  return new ReadableStream(
    {
      start(controller) {
        const sink = async (frame: Uint8Array) => {
          if (isGone) return;
          controller.enqueue(encodeNodeRecord({ kind: "frame", bytes: frame }));
          if ((controller.desiredSize ?? 0) > 0) return;
          await new Promise<void>((resolve) => {
            isRead = resolve;
          });
        };
        const end = (reply: NodeReply) => {
          if (isGone) return;
          controller.enqueue(replyRecord(reply));
          controller.close();
        };
        void take(sink).then(end, (error: unknown) => controller.error(error));
      },
      pull() {
        isRead?.();
      },
      cancel() {
        isGone = true;
        isRead?.();
        cancel();
      },
    },
    { highWaterMark: FRAMES_AHEAD },
  );
}
