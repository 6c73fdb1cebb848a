/** What a node takes up: the requester's half is signed, in time, and about this very call of a model that is offered. */
import {
  type Authorization,
  type AuthorizationPayload,
  commit,
  equal,
  type FoldState,
  hex,
  keyOf,
  Malformed,
  type PublishedModel,
  parseAuthorization,
  priceOf,
  unmetTier,
  verifySigned,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";

/** The requester's half, with its signature checked. */
export async function checkAuthorization(fold: FoldState, bytes: Uint8Array): Promise<Authorization> {
  const authorization = parseOrRefuse(parseAuthorization, bytes, "authorization");
  const session = fold.sessions.get(keyOf(authorization.says.session));
  if (session === undefined)
    throw new ServiceError("forbidden", `no session ${hex(authorization.says.session)}: POST /v1/sessions grants one`);
  if (!(await verifySigned(authorization.signed, session.sessionKey)))
    throw new ServiceError("forbidden", "the authorization is not signed by the key of its session");
  return authorization;
}

/** The model to run. Throws where the terms are not what this node can keep. */
export function admit(
  { fold, clock }: { fold: FoldState; clock: Clock },
  says: AuthorizationPayload,
  salt: Uint8Array,
  call: Uint8Array,
): PublishedModel {
  const now = nowSeconds(clock);
  const session = fold.sessions.get(keyOf(says.session));
  if (says.expiry < now || (session?.expiry ?? 0) < now)
    throw new ServiceError(
      "expired",
      "the authorization or its session has expired: sign a new one, in a new session if need be",
    );
  if (says.expiry > (session?.expiry ?? 0))
    throw new ServiceError("invalid_request", "the authorization outlives its session: sign one that ends no later");
  const model = fold.models.get(keyOf(says.revision));
  if (model === undefined)
    throw new ServiceError(
      "not_found",
      `no model revision ${hex(says.revision)}: GET /v1/models lists what is offered`,
    );
  if (model.yanked)
    throw new ServiceError("model_yanked", `the revision ${hex(says.revision)} was withdrawn by its publisher`);
  const leastAtomic = priceOf(model, 0);
  if (leastAtomic > says.maxPrice)
    throw new ServiceError(
      "price_over_maximum",
      `a call costs ${leastAtomic} at least, over the maximum of ${says.maxPrice}: authorise more`,
    );
  const unmet = unmetTier(says, model.manifest);
  if (unmet !== undefined)
    throw new ServiceError("invalid_request", `the tier "${says.tier}" is not to be had: ${unmet}; ask for another`);
  // What a circuit takes is opened by who has the circuit: where the answer is had (proved-answers.ts).
  const isOpened = () => says.tier === "proved" || equal(commit("request", salt, call).digest, says.request.digest);
  if (salt.length !== 32 || !isOpened())
    throw new ServiceError("invalid_request", "the call is not the one that the authorization commits to");
  return model;
}

/** What `read` makes of bytes from outside. Throws invalid_request. */
export function parseOrRefuse<T>(read: (bytes: Uint8Array) => T, bytes: Uint8Array, what: string): T {
  try {
    return read(bytes);
  } catch (cause) {
    if (cause instanceof Malformed)
      throw new ServiceError("invalid_request", `the ${what} ${cause.message}`, { cause });
    throw cause;
  }
}
