/** What every call by API key goes through before it is served: who calls, whether it was sent before, whether there is room. */
import type { ServerResponse } from "node:http";
import type { Context } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { headersFor } from "../platform/http.ts";
import { NEVER, Stop, type StopSignal } from "../platform/stop.ts";
import type { Caller } from "./accounts.ts";
import { type ApiKey, requireScope, type Scope } from "./api-keys.ts";
import type { Apps } from "./apps-store.ts";
import { appOf, publicAppOf } from "./attribution.ts";
import { type Idempotency, requestDigest } from "./idempotency.ts";
import type { Admission, Limits } from "./limits.ts";

/** What a call of tensors counts against its key's units a minute: it is not counted in tokens. */
export const CALL_UNITS = 1;

export type EntranceParts = {
  authenticate(authorizationHeader: string | undefined): Caller;
  idempotency: Idempotency;
  limits: Limits;
  apps: Apps;
  nowSeconds(): number;
};

export type Entrance = {
  /** Who calls, with a key of that scope, and under the app that the request names. Throws unauthenticated or forbidden. */
  callerOf(c: Context, scope: Scope): Caller;
  /** What `answer` gives, run once where the request has an `Idempotency-Key`. `body` is the request's, as it came. */
  once(c: Context, caller: Caller, body: Uint8Array, answer: () => Promise<Response>): Promise<Response>;
  /** Takes a place for a call and says in the answer's headers what is left to the key. Whoever takes it releases it. */
  admit(c: Context, key: ApiKey, estimatedUnits: number): Promise<Admission>;
  /** Counts the app that the request names. */
  countApp(c: Context, caller: Caller): void;
};

export function createEntrance({ authenticate, idempotency, limits, apps, nowSeconds }: EntranceParts): Entrance {
  return {
    callerOf(c, scope) {
      const caller = authenticate(c.req.header("authorization"));
      requireScope(caller.key, scope);
      const app = publicAppOf(c.req.header("x-tally-app"));
      return app === undefined ? caller : inApp(caller, app);
    },

    async once(c, { payerTag }, body, answer) {
      const key = c.req.header("idempotency-key");
      if (key === undefined) return answer();
      const digest = requestDigest(c.req.method, c.req.path, body);
      const response = await idempotency.run({ payerTag, key, digest }, answer);
      const receiptId = response.headers.get("x-receipt-id");
      if (receiptId !== null) headersFor(c)["x-receipt-id"] = receiptId; // Of an answer that is given again.
      return response;
    },

    async admit(c, key, estimatedUnits) {
      const admission = await limits.admit(key, { estimatedUnits });
      Object.assign(headersFor(c), admission.headers);
      return admission;
    },

    countApp(c, { payerTag }) {
      const app = appOf(c.req.header("http-referer") ?? c.req.header("referer"), c.req.header("x-title"));
      if (app !== undefined) apps.count(payerTag, app, nowSeconds());
    },
  };
}

/** The caller as one of an app, unless its key was made for another. */
function inApp(caller: Caller, app: string): Caller {
  const { key } = caller;
  const own = key.terms.app ?? app;
  if (own === app) return { ...caller, key: { ...key, terms: { ...key.terms, app } } };
  throw new ServiceError("forbidden", `this API key was made for the app ${own}: leave x-tally-app out`, {
    param: "x-tally-app",
  });
}

/** What `work` gives, in the place that was taken for it: a call of so many units that ends with it, as none that streams. */
export async function inPlace<T>(admission: Admission, units: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    admission.release(units);
  }
}

/** What ends a call with the connection that asked for it. With an `Idempotency-Key` nothing does: the answer may be asked for again. */
export function signalOf(c: Context): StopSignal {
  return c.req.header("idempotency-key") === undefined ? connectionOf(c) : NEVER;
}

/** Aborted where the connection is gone before all of the answer is. */
function connectionOf(c: Context): StopSignal {
  const bindings: { outgoing?: ServerResponse } | undefined = c.env;
  const outgoing = bindings?.outgoing;
  if (outgoing === undefined) return c.req.raw.signal; // There is no server.
  const stop = new Stop();
  if (outgoing.destroyed) stop.abort();
  else
    outgoing.once("close", () => {
      if (!outgoing.writableFinished) stop.abort();
    });
  return stop;
}
