/** `tally audit --publish`: says in the log, by its user's own key, what the log came to when they counted it again. */
import { encodeJson, type FoldState, parseHex, rulesDigest, sha256 } from "@tallystick/protocol";
import type { Audit } from "../audit/audit.ts";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { openOwnKey } from "./relier-key.ts";

/** Signs what an audit came to and submits it; the line that says so. Who disagrees names the snapshot that is wrong. */
export async function publishAudit(
  audit: Audit,
  agrees: boolean,
  { series }: FoldState,
  url: string,
  { terminal, home, edges }: Context,
): Promise<string> {
  const [first] = series;
  if (first === undefined) throw new Error("a fold without rules comes to nothing");
  const signer = await openOwnKey("auditor", home.auditorKeyPath, true, terminal);
  const wrong = audit.days.find((day) => !day.agrees && day.snapshot !== null);
  const snapshot = parseHex(wrong?.snapshot?.id ?? "");
  const says = {
    size: Math.min(audit.comparedSize, audit.entryCount),
    rules: rulesDigest(first.rules),
    result: sha256(encodeJson(audit.figures)),
    agrees: agrees ? "yes" : "no",
    ...(wrong === undefined || snapshot === undefined ? {} : { snapshot }),
  } as const;
  const { index, alreadyLogged } = await createClient({ url, edges }).recompute(says, signer, "auditor");
  const that = agrees ? "agrees" : "does not agree";
  return alreadyLogged
    ? `that your audit ${that} is in the log already, as entry ${index}\n`
    : `published that your audit ${that}, as entry ${index} of the log\n`;
}
