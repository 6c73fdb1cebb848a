/** What a network answers a verifier that is elsewhere. */
import { findJson, parseBase64, parseHex } from "@tallystick/protocol";
import { z } from "zod";
import { type ErrorCode, ServiceError, STATUS } from "../platform/errors.ts";
import { readOpening } from "./openings.ts";
import type { Check } from "./service.ts";

const Checks = z.object({
  checks: z.array(
    z.object({ receipt: z.string(), index: z.number().int(), check: z.string(), opening: z.string().exactOptional() }),
  ),
});

/** The checks that somebody wants of this verifier, in the answer to `GET /v1/checks`. */
export function parseChecks(text: string): Check[] {
  const told = Checks.safeParse(findJson(text));
  return (told.data?.checks ?? []).flatMap(({ receipt, index, check, opening: given }) => {
    const [id, signature] = [parseHex(receipt), parseBase64(check)];
    const opening = given === undefined ? undefined : readOpening(parseBase64(given) ?? new Uint8Array(0));
    if (id?.length !== 32 || signature === undefined) return [];
    return [{ receipt: id, index, check: signature, ...(opening === undefined ? {} : { opening }) }];
  });
}

const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Why the network refuses, as its answer says. */
export function refusalIn(status: number, text: string): ServiceError {
  const { code = "unavailable", message = `status ${status}` } = Refusal.safeParse(findJson(text)).data?.error ?? {};
  const known = (Object.keys(STATUS) as ErrorCode[]).find((one) => one === code);
  return new ServiceError(known ?? "unavailable", message);
}

/** Where the log has an entry, in the answer to it. Throws where it does not say. */
export function indexIn(text: string): number {
  const index = z.object({ index: z.number().int() }).safeParse(findJson(text)).data?.index;
  if (index === undefined) throw new Error("the log's answer has no index");
  return index;
}
