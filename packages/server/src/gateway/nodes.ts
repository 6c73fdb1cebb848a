/** The nodes that this gateway knows: which there are, what each says of itself, and whether it may be asked. */
import { hex, type Tier } from "@tallystick/protocol";
import { type Breaker, createBreaker } from "../platform/breaker.ts";
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { RemoteNode } from "./remote-node.ts";
import type { Candidate } from "./routing.ts";

/** What a node says of itself, at each heartbeat. Revisions are digests in hex. */
export type NodeReport = {
  /** Where it listens: an origin. */
  url: string;
  name: string;
  engines: string[];
  revisions: string[];
  warm: string[];
  tiers: Tier[];
  priceFloorAtomic: bigint;
  running: number;
  waiting: number;
  /** Calls that it can run at once. */
  capacity: number;
  draining: boolean;
};

/** What is known of a node, by its key's id, that is not its own word. */
export type Standings = {
  /** Whether its key is relied on. */
  isRelied(id: Uint8Array): boolean;
  /** Whether what it answers is attested at once. */
  isAttested(id: Uint8Array): boolean;
  /** SHA-256 of the SubjectPublicKeyInfo by which it ends TLS, where its evidence says so. */
  findTlsKey(id: Uint8Array): Uint8Array | undefined;
};

export type NodeHealth = "healthy" | "silent" | "failing" | "draining" | "revoked";

/** A node as the gateway shows it. */
export type NodeView = Omit<NodeReport, "url" | "priceFloorAtomic" | "draining"> & {
  id: string;
  health: NodeHealth;
  breaker: "closed" | "open";
  /** Whether the key by which it ends TLS is held to its evidence; `none` where it is on the gateway's own machine. */
  tls: "held" | "not_checked" | "none";
  priceFloor: string;
  /** Calls of this gateway that it has. */
  inFlight: number;
  heardSecondsAgo: number;
};

export type RegisteredNode = Candidate & {
  remote: RemoteNode;
  breaker: Breaker;
  /** Calls of this gateway that it has. */
  inFlight: number;
};

export type NodeRegistry = {
  /** Takes a node in, or anew. Throws limit_exceeded. */
  register(id: Uint8Array, report: NodeReport): void;
  /** Throws not_found where the node has to register. Whether the operator wants it to drain. */
  heartbeat(id: Uint8Array, report: NodeReport): { drain: boolean };
  /** The operator has it take no more calls, or take them again. Throws not_found. */
  setDrain(id: string, drain: boolean): void;
  candidates(): RegisteredNode[];
  /** The node of that id, also where it takes no calls. */
  find(id: string): RegisteredNode | undefined;
  view(): NodeView[];
  /** Lets what is under way at nodes end. */
  close(): Promise<void>;
};

export type NodesParts = {
  clock: Clock;
  connect(id: Uint8Array, url: string): RemoteNode;
  standings: Standings;
};

/** How often a node is to be heard of. */
export const HEARTBEAT_MS = 2_000;
/** A node that was not heard of for so long gets no calls; one that was not for longer is forgotten. */
export const SILENT_MS = 7_000;
export const GONE_MS = 60_000;
export const NODES_MOST = 256;
/** Revisions that a node may say it serves. */
export const REVISIONS_MOST = 2_000;
/** Three failures in a row say more than bad luck; after that it is tried once in a while. */
const BREAKER = { failuresMost: 3, openMs: 5_000, openMostMs: 60_000 };

type Row = {
  key: Uint8Array;
  node: RegisteredNode;
  report: NodeReport;
  heardMs: number;
  operatorDrains: boolean;
};

export function createNodeRegistry({ clock, connect, standings }: NodesParts): NodeRegistry {
  const rows = new Map<string, Row>();
  const closing = new Set<Promise<void>>();

  function close(remote: RemoteNode): void {
    const closed = remote.close().finally(() => closing.delete(closed));
    closing.add(closed);
  }

  function forgetGone(): void {
    for (const [id, { heardMs, node }] of rows)
      if (clock.nowMs() - heardMs > GONE_MS && node.inFlight === 0) {
        rows.delete(id);
        close(node.remote);
      }
  }

  function healthOf({ key, report, heardMs, operatorDrains, node }: Row): NodeHealth {
    if (!standings.isRelied(key)) return "revoked";
    if (clock.nowMs() - heardMs > SILENT_MS) return "silent";
    if (report.draining || operatorDrains) return "draining";
    return node.breaker.isAdmitting ? "healthy" : "failing";
  }

  /** That it is attested is not a node's own to say. */
  function tiersOf({ key, report }: Row): Tier[] {
    const own = report.tiers.filter((tier) => tier !== "attested");
    return standings.isAttested(key) ? [...own, "attested"] : own;
  }

  function tlsOf({ key, report }: Row): NodeView["tls"] {
    if (!report.url.startsWith("https:")) return "none";
    return standings.findTlsKey(key) === undefined ? "not_checked" : "held";
  }

  function createRow(id: string, key: Uint8Array, report: NodeReport): Row {
    const row: Row = {
      key,
      report,
      heardMs: clock.nowMs(),
      operatorDrains: false,
      node: {
        id,
        remote: connect(key, report.url),
        breaker: createBreaker({ clock, ...BREAKER }),
        inFlight: 0,
        offers: (revision) => row.report.revisions.includes(revision),
        isWarm: (revision) => row.report.warm.includes(revision),
        get isReady() {
          return healthOf(row) === "healthy";
        },
        get tiers() {
          return tiersOf(row);
        },
        get priceFloorAtomic() {
          return row.report.priceFloorAtomic;
        },
        get load() {
          const { running, waiting, capacity } = row.report;
          // What it said may be seconds old; what we gave it since is known.
          return Math.max(running + waiting, row.node.inFlight) / capacity;
        },
      },
    };
    return row;
  }

  return {
    register(key, report) {
      forgetGone();
      const id = hex(key);
      const known = rows.get(id);
      if (known === undefined && rows.size >= NODES_MOST)
        throw new ServiceError("limit_exceeded", `this gateway has ${NODES_MOST} nodes already, as many as it takes`);
      if (known?.report.url === report.url) {
        Object.assign(known, { report, heardMs: clock.nowMs() });
        return;
      }
      const row = createRow(id, key, report);
      row.operatorDrains = known?.operatorDrains ?? false;
      rows.set(id, row);
      if (known !== undefined) close(known.node.remote);
    },

    heartbeat(key, report) {
      const row = rows.get(hex(key));
      if (row?.report.url !== report.url)
        throw new ServiceError("not_found", "this gateway does not know the node at that address: register it");
      row.report = report;
      row.heardMs = clock.nowMs();
      return { drain: row.operatorDrains };
    },

    setDrain(id, drain) {
      const row = rows.get(id);
      if (row === undefined) throw new ServiceError("not_found", `no node ${id}: GET /v1/nodes lists them`);
      row.operatorDrains = drain;
    },

    candidates() {
      forgetGone();
      return [...rows.values()].map(({ node }) => node);
    },

    find: (id) => rows.get(id)?.node,

    view() {
      forgetGone();
      return [...rows.values()].map((row) => {
        const { url: _, priceFloorAtomic, draining: __, ...report } = row.report;
        return {
          ...report,
          id: row.node.id,
          tiers: tiersOf(row),
          tls: tlsOf(row),
          health: healthOf(row),
          breaker: row.node.breaker.isOpen ? "open" : "closed",
          priceFloor: String(priceFloorAtomic),
          inFlight: row.node.inFlight,
          heardSecondsAgo: Math.max(0, Math.floor((clock.nowMs() - row.heardMs) / 1000)),
        };
      });
    },

    async close() {
      for (const { node } of rows.values()) close(node.remote);
      rows.clear();
      await Promise.all(closing);
    },
  };
}
