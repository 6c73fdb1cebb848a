/**
 * Sends each authorization to a node, once: the one in this process, or one elsewhere. Another node gets it only where the one
 * before said that it took nothing up, or provably was not reached; how those went travels with it, for the evidence.
 */
import {
  type Authorization,
  type Call,
  DISPATCH_ATTEMPTS,
  type Dispatch,
  type FoldState,
  hex,
  keyOf,
  type NodeTimes,
  parseHex,
  signedId,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { type ErrorCode, ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import type { StopSignal } from "../platform/stop.ts";
import { type AcceptsNode, policyUnmet } from "./acceptance.ts";
import type { NodeRegistry, RegisteredNode } from "./nodes.ts";
import type { Dispatched, Served, Waiting } from "./remote-node.ts";
import { type Asked, type Candidate, pickNode } from "./routing.ts";

export type Checked = { authorization: Authorization; call: Call; accepts?: AcceptsNode | undefined };
export type Timed = Served & { times: NodeTimes };

/** The node in this process, as a candidate among others. */
export type LocalNode = Candidate & {
  dispatch(dispatch: Dispatch, checked: Checked, waiting: Waiting): Promise<Dispatched>;
};

export type DispatcherParts = {
  fold: FoldState;
  clock: Clock;
  random: Random;
  registry: Pick<NodeRegistry, "candidates">;
  /** None where this network runs no models itself. */
  local: LocalNode | undefined;
  /** How long a lost answer's receipt is waited for. */
  receiptWithinMs: number;
};

export type Dispatcher = {
  serve(dispatch: Dispatch, checked: Checked, signal?: StopSignal): Promise<Timed>;
  stream(dispatch: Dispatch, options: Required<Waiting> & { checked: Checked }): Promise<Timed>;
  /** To be called whenever the fold has taken in more of the log. */
  folded(): void;
};

/** What says of the node and not of the call: another one may do better. */
const OF_THE_NODE: ReadonlySet<ErrorCode> = new Set([
  "unavailable",
  "internal",
  "node_failed",
  "not_found",
  "forbidden",
]);
/** Looked through once there are so many; where as many more are open, no call is dispatched. */
const DISPATCHED_KEPT = 8_192;
const DISPATCHED_MOST = 65_536;

export function createDispatcher({ fold, clock, random, registry, local, ...parts }: DispatcherParts): Dispatcher {
  /** When each authorization ends that was dispatched, until the fold knows its receipt. */
  const dispatched = new Map<string, number>();
  const lookers = new Set<() => void>();

  function take(name: string, id: Uint8Array, expiry: number): void {
    if (dispatched.size > DISPATCHED_KEPT)
      for (const [other, ends] of dispatched)
        if (ends < nowSeconds(clock) || fold.receipts.has(other)) dispatched.delete(other);
    if (dispatched.size > DISPATCHED_MOST)
      throw new ServiceError("unavailable", "too many calls have an outcome that is not known: try again later");
    if (dispatched.has(name) || fold.receipts.has(name))
      throw new ServiceError("conflict", `the authorization ${hex(id)} was used already: sign a new one`);
    dispatched.set(name, expiry);
  }

  const candidates = (): (LocalNode | RegisteredNode)[] => [
    ...(local === undefined ? [] : [local]),
    ...registry.candidates(),
  ];

  function draw(count: number): number {
    const [a = 0, b = 0] = random(2);
    return ((a << 8) | b) % count;
  }

  async function run(dispatch: Dispatch, checked: Checked, waiting: Waiting): Promise<Timed> {
    const { says, signed } = checked.authorization;
    const id = signedId(signed);
    const name = keyOf(id);
    take(name, id, says.expiry);
    const { accepts } = checked;
    const asked = { revision: hex(says.revision), tier: says.tier, maxPriceAtomic: says.maxPrice, accepts };
    const result = await tryNodes(dispatch, checked, asked, waiting).catch((error: unknown) => {
      dispatched.delete(name); // No node took it up.
      throw error;
    });
    if (result.kind === "served") return { ...result.served, times: result.times };
    throw result.error ?? (await lost(id, result.why));
  }

  /** Asks one node after another until one took it up. Throws where none did. */
  async function tryNodes(
    given: Dispatch,
    checked: Checked,
    asked: Asked,
    waiting: Waiting,
  ): Promise<Exclude<Dispatched, { kind: "not_taken" }>> {
    const dispatch = given.attempts === undefined ? given : withoutAttempts(given);
    const tried = new Set<string>();
    const attempts: NonNullable<Dispatch["attempts"]> = [];
    let refusal: ServiceError | undefined;
    let isBegun = false;
    const { sink, signal } = waiting;
    const heard: Waiting = {
      ...(signal === undefined ? {} : { signal }),
      ...(sink === undefined
        ? {}
        : {
            sink(frame) {
              isBegun = true;
              return sink(frame);
            },
          }),
    };
    while (attempts.length < DISPATCH_ATTEMPTS) {
      const node = pickNode(candidates(), asked, tried, draw);
      if (node === undefined) break;
      tried.add(node.id);
      const begunMs = clock.nowMs();
      const told = attempts.length === 0 ? dispatch : { ...dispatch, attempts: [...attempts] };
      const result = "remote" in node ? await askRemote(node, told, heard) : await node.dispatch(told, checked, heard);
      if (result.kind !== "not_taken") return result;
      refusal = result.refusal;
      // What another node says does not go on where this one broke off.
      if (!OF_THE_NODE.has(refusal.code) || isBegun) throw refusal;
      const ms = Math.max(0, clock.nowMs() - begunMs);
      attempts.push({ at: `node-${node.id.slice(0, 16)}`, outcome: refusal.code.replaceAll("_", "-"), ms });
    }
    // A fault of this process is told to its operator as it is.
    throw (refusal?.code === "internal" && refusal.cause) || (refusal ?? nobody(asked));
  }

  /** Why there is no node to ask. */
  function nobody({ revision, tier, maxPriceAtomic, accepts }: Asked): ServiceError {
    const model = fold.models.get(keyOf(parseHex(revision) ?? new Uint8Array(0)));
    if (model === undefined)
      return new ServiceError("not_found", `no model revision ${revision}: GET /v1/models lists what is offered`);
    if (model.yanked)
      return new ServiceError("model_yanked", `the revision ${revision} was withdrawn by its publisher`);
    const offering = candidates().filter((one) => one.offers(revision));
    const tiers = [...new Set(offering.flatMap((one) => one.tiers))];
    if (offering.length > 0 && !tiers.includes(tier))
      return new ServiceError(
        "invalid_request",
        `the tier "${tier}" is not offered here: authorise ${tiers.map((one) => `"${one}"`).join(" or ")}${tier === "proved" ? "; its operator offers it by starting with CRS_PATH, the folder of the ceremony's CRS" : ""}`,
      );
    if (accepts !== undefined && offering.length > 0 && !offering.some(({ id }) => accepts(id)))
      return policyUnmet(`none of the ${offering.length} nodes that serve this model is one that the policy accepts`);
    const isAfforded = offering.some(({ priceFloorAtomic }) => priceFloorAtomic <= maxPriceAtomic);
    return new ServiceError(
      "unavailable",
      isAfforded
        ? `no node that serves the revision ${revision} takes calls just now: try again in a second`
        : `no node of this gateway serves the revision ${revision} at this price, and no other model is run in its place`,
    );
  }

  /** Why there is no answer, once the log has had its time to show a receipt. */
  async function lost(id: Uint8Array, why: string): Promise<ServiceError> {
    await receiptWithin(keyOf(id), parts.receiptWithinMs);
    const receiptId = hex(id);
    if (fold.receipts.has(keyOf(id)))
      return new ServiceError("node_failed", "the node's answer was lost on its way; its receipt is in the log", {
        receiptId,
      });
    const message = `the node was asked and gave no clear answer (${why}): the receipt ${receiptId} may yet appear. What was signed for it is not sent again: sign a new one to ask again`;
    return new ServiceError("node_failed", message, { isOutcomeUnknown: true });
  }

  function receiptWithin(name: string, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (fold.receipts.has(name)) end();
      };
      const end = () => {
        clearTimeout(timer);
        lookers.delete(look);
        resolve();
      };
      const timer = setTimeout(end, withinMs);
      lookers.add(look);
      look();
    });
  }

  return {
    serve: (dispatch, checked, signal) => run(dispatch, checked, signal === undefined ? {} : { signal }),
    stream: (dispatch, { checked, ...waiting }) => run(dispatch, checked, waiting),
    folded() {
      for (const look of [...lookers]) look();
    },
  };
}

/** Only this gateway says whom it asked. */
function withoutAttempts({ attempts: _, ...dispatch }: Dispatch): Dispatch {
  return dispatch;
}

/** Asks a node elsewhere, and has its breaker hear of it. */
async function askRemote(node: RegisteredNode, dispatch: Dispatch, waiting: Waiting): Promise<Dispatched> {
  const trial = node.breaker.admit();
  if (trial === undefined)
    return { kind: "not_taken", refusal: new ServiceError("unavailable", "this node is left alone for a while") };
  node.inFlight++;
  try {
    const result = await node.remote.dispatch(dispatch, waiting);
    if (result.kind === "served") trial.succeed();
    // To be full or to drain is no failure of the node's; not to be reached is.
    else if (result.kind === "unknown" || result.refusal.cause !== undefined) trial.fail();
    return result;
  } finally {
    trial.abandon(); // Where nothing was told of it.
    node.inFlight--;
  }
}
