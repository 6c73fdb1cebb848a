/**
 * Contents: what was asked and answered, kept for those alone who asked for it by `store: true`. Each is sealed under a key
 * that is derived from the sealing key and a salt of its own, so that a content whose salt is gone is gone.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import type { Random } from "../platform/random.ts";
import type { ContentsStore } from "./contents-store.ts";

/** A larger content is not kept. */
export const CONTENT_SIZE_BYTES = 16 * 1024 * 1024;
/** Of one account: past that its oldest go. Of all: past that no more are taken. */
export const ACCOUNT_CONTENTS_BYTES = 256 * 1024 * 1024;
export const ALL_CONTENTS_BYTES = 4 * 1024 * 1024 * 1024;

export type Content = { request: unknown; response: unknown };

export type Contents = {
  /** Refuses a call whose content could not be kept: asked before it runs. Throws invalid_request or unavailable. */
  checkRoom(): void;
  /** Keeps the content of an answer of that id, as `chatcmpl-…`, for its account. What cannot be kept is told the operator. */
  keep(payerTag: string, id: string, content: Content): void;
  find(payerTag: string, id: string): Content | undefined;
  /** Erasure, of the salt as well. Whether there was one. */
  destroy(payerTag: string, id: string): boolean;
};

export type ContentsParts = {
  store: ContentsStore;
  /** 32 bytes, kept elsewhere: the database alone unseals nothing. */
  sealingKey: Uint8Array;
  clock: Clock;
  random: Random;
  report: Report;
  /** How long a content is kept unless it is destroyed before; 0 keeps none. */
  keptDays?: number | undefined;
  accountBytes?: number;
  allBytes?: number;
};

const KEPT_DAYS = 30;
const DAY_SECONDS = 86_400;

export function createContents(parts: ContentsParts): Contents {
  const { store, sealingKey, clock, random, report, keptDays = KEPT_DAYS } = parts;
  const { accountBytes = ACCOUNT_CONTENTS_BYTES, allBytes = ALL_CONTENTS_BYTES } = parts;

  /** The key and the nonce of one content: a key seals once. */
  function keyOf(salt: Uint8Array): { key: Buffer; nonce: Buffer } {
    const derived = Buffer.from(hkdfSync("sha256", sealingKey, salt, "tallystick content", 44));
    return { key: derived.subarray(0, 32), nonce: derived.subarray(32) };
  }

  return {
    checkRoom() {
      if (keptDays === 0)
        throw new ServiceError("invalid_request", "this network keeps no content: leave store out", { param: "store" });
      if (store.sizeBytes() < allBytes) return;
      throw new ServiceError(
        "unavailable",
        "there is no room to keep content: leave store out, or delete what is kept",
      );
    },

    keep(payerTag, id, content) {
      const text = Buffer.from(JSON.stringify(content));
      if (keptDays === 0 || text.length > Math.min(CONTENT_SIZE_BYTES, accountBytes))
        return report("a content is not kept", { sizeBytes: text.length });
      const salt = random(32);
      const { key, nonce } = keyOf(salt);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad(payerTag, id));
      const sealed = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
      const now = nowSeconds(clock);
      try {
        while (store.sizeBytesOf(payerTag) + sealed.length > accountBytes && store.removeOldest(payerTag));
        store.put({ id, payerTag, salt, sealed, expiresSeconds: now + keptDays * DAY_SECONDS }, now);
      } catch (error) {
        report("a content is not kept", { sizeBytes: text.length, error: String(error) }); // Its answer is on its way.
      }
    },

    find(payerTag, id) {
      const found = store.find(id, payerTag);
      if (found === undefined || found.expiresSeconds < nowSeconds(clock)) return undefined;
      const { key, nonce } = keyOf(found.salt);
      const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAAD(aad(payerTag, id));
      const end = found.sealed.length - 16;
      decipher.setAuthTag(found.sealed.subarray(end));
      const text = Buffer.concat([decipher.update(found.sealed.subarray(0, end)), decipher.final()]);
      const content: Content = JSON.parse(text.toString("utf8"));
      return content;
    },

    destroy: (payerTag, id) => store.remove(id, payerTag),
  };
}

function aad(payerTag: string, id: string): Buffer {
  return Buffer.from(`content ${payerTag} ${id}`);
}
