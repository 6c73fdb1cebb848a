/** What a log says of itself beyond its tiles: its keys and witnesses, its history, and proofs that are made for the asker. */
import {
  base64,
  encodeHandover,
  encodeLogProof,
  encodeNote,
  encodeNoteKey,
  type FoldState,
  type Note,
  type Signer,
  signCoseReceipt,
} from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import type { History } from "./history.ts";
import type { Log } from "./service.ts";

/** A witness of the policy; `here` says that this network's operator runs it. */
export type ListedWitness = { name: string; vkey: string; here: boolean; url?: string };

export type LogApi = {
  log: Pick<Log, "head" | "published" | "witnessed" | "tree" | "signer">;
  fold: FoldState;
  history: Pick<History, "findFrom">;
  /** Signs COSE Receipts: the key of the role `log`. */
  signer: Signer;
  policy: string;
  witnesses: readonly ListedWitness[];
};

const COSE = "application/cose";

export function logApi({ log, fold, history, signer, policy, witnesses }: LogApi): Hono {
  const app = new Hono();

  app.get("/v1/log", (c) => {
    const { key } = log.signer;
    const { head, published, witnessed } = log;
    return c.json({
      origin: key.name,
      vkey: encodeNoteKey(key),
      handovers: fold.handovers.map((handover) => new TextDecoder().decode(encodeHandover(handover))),
      policy,
      witnesses,
      oneOperator: witnesses.every(({ here }) => here),
      roleKey: base64(signer.spki),
      signedSize: head.size,
      publishedSize: published.size,
      witnessedSize: witnessed?.size ?? null,
    });
  });

  app.get("/v1/log/checkpoints/:size", async (c) => {
    const size = numberOf(c, "size");
    const found = await find(size);
    return c.text(encodeNote(found), 200, { "cache-control": "public, max-age=31536000, immutable" });
  });

  app.get("/v1/log/proofs/:index", async (c) => {
    const index = numberOf(c, "index");
    const asked = c.req.query("size");
    const newest = (log.witnessed?.size ?? 0) > index ? log.witnessed : log.head;
    const size = asked === undefined ? (newest ?? log.head).size : numberIn(asked, "size");
    requireCovered(index, size);
    const note = asked === undefined ? (newest ?? log.head).note : await find(size);
    return c.text(encodeLogProof(index, await log.tree.inclusionProof(index, size), note));
  });

  app.get("/v1/log/cose-receipts/:index", async (c) => {
    const index = numberOf(c, "index");
    const { size, root } = log.head;
    requireCovered(index, size);
    const receipt = await signCoseReceipt(signer, {
      size,
      index,
      root,
      path: await log.tree.inclusionProof(index, size),
    });
    return c.body(new Uint8Array(receipt), 200, { "content-type": COSE });
  });

  /** The checkpoint of exactly `size`, which was public once. */
  async function find(size: number): Promise<Note> {
    if (size === log.published.size) return log.published.note;
    const found = await history.findFrom(size);
    if (found?.size === size) return found.note;
    const next = found === undefined ? `the newest is of ${log.published.size}` : `the next one is of ${found.size}`;
    throw new ServiceError("not_found", `no checkpoint of ${size} entries was kept: ${next}`);
  }

  return app;
}

function requireCovered(index: number, size: number): void {
  if (index < size) return;
  throw new ServiceError("not_found", `entry ${index} is not among the ${size} that this checkpoint covers`);
}

function numberOf(c: Context, name: "size" | "index"): number {
  return numberIn(c.req.param(name) ?? "", name);
}

function numberIn(text: string, name: "size" | "index"): number {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new ServiceError("invalid_request", `${name} takes a whole number, not ${JSON.stringify(text.slice(0, 40))}`);
}
