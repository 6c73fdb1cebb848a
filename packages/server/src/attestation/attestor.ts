/** The node's side of attestation: asks for a nonce, has its machine bind it to the node's keys, and again before that expires. */
import { bindingOf, encodeEvidence, hex, parseBase64 } from "@tallystick/protocol";
import { z } from "zod";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import type { Report } from "../platform/http.ts";
import type { EvidenceSource } from "./sources.ts";

export type AttestorParts = {
  source: EvidenceSource;
  /** The id of the node's receipt key. */
  key: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo by which it ends TLS, where it does so itself. */
  tlsKey: Uint8Array | undefined;
  clock: Clock;
  report: Report;
  /** A request that the node signs, to its gateway. */
  post(path: string, body: Uint8Array): Promise<{ status: number; json: unknown }>;
};

export type Attestor = {
  /** Attests, and does so again and again until it is closed. Resolves after the first time, whatever came of it. */
  begin(): Promise<void>;
  close(): void;
};

/** The pause after evidence that was not accepted, or that there was none of. */
const RETRY_MS = 60_000;
const LEAST_MS = 15_000;
/** The longest that a timer takes. */
const MOST_MS = 12 * 3_600_000;

const Challenge = z.object({ nonce: z.string() });
const Answer = z.object({
  technology: z.string(),
  outcome: z.enum(["passed", "failed"]),
  expiry: z.number(),
  evidence: z.string(),
  checks: z.array(z.object({ name: z.string(), state: z.string(), detail: z.string() })),
});

export function createAttestor({ source, key, tlsKey, clock, report, post }: AttestorParts): Attestor {
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  async function ask<T>(schema: z.ZodType<T>, path: string, body: Uint8Array): Promise<T> {
    const { status, json } = await post(path, body);
    if (status !== 200) throw new Error(`the gateway answered ${status}: ${JSON.stringify(json).slice(0, 1_024)}`);
    return schema.parse(json);
  }

  /** Attests once. When to do so again. */
  async function attest(): Promise<number> {
    const challenge = await ask(Challenge, "/v1/nodes/attestation/challenge", new Uint8Array(0));
    const nonce = parseBase64(challenge.nonce) ?? new Uint8Array(0);
    const binding = { nonce, key, ...(tlsKey && { tlsKey }) };
    const collected = await source(bindingOf(binding));
    const answer = await ask(Answer, "/v1/nodes/attestation", encodeEvidence({ ...collected, binding }));
    const { technology, outcome, expiry, evidence, checks } = answer;
    const node = hex(key);
    if (outcome === "failed") {
      const failed = checks.filter(({ state }) => state === "failed").map(({ name, detail }) => `${name}: ${detail}`);
      report("this node's evidence was not accepted", { node, technology, evidence, failed });
      return RETRY_MS;
    }
    report("this node's evidence was accepted", { node, technology, evidence, expiry });
    // After two thirds of its time: there is room for a few more tries before it expires.
    return Math.min(MOST_MS, Math.max(LEAST_MS, ((expiry - nowSeconds(clock)) * 2_000) / 3));
  }

  async function round(): Promise<void> {
    let waitMs = RETRY_MS;
    try {
      waitMs = await attest();
    } catch (error) {
      report("this node could not attest; it is tried again", { node: hex(key), error: String(error) });
    }
    if (!isClosed) timer = setTimeout(() => void round(), waitMs);
  }

  return {
    begin: round,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
