/** `tally audit --publish`: says in the log, by its user's own key, what the log came to when they counted it again. */
import { encodeJson, type FoldState, NAME, NAME_LENGTH, parseHex, rulesDigest, sha256 } from "@tallystick/protocol";
import type { Audit } from "../audit/audit.ts";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { openOwnKey } from "./relier-key.ts";
import { UsageError } from "./terminal.ts";

/** What an auditor's key enrols under. Throws UsageError where `--name` is none, or has no `--publish` beside it. */
export function auditorNameOf({ name, publish }: { name?: string; publish?: boolean }): string {
  if (name === undefined) return "auditor";
  if (name.length > NAME_LENGTH || !NAME.test(name))
    throw new UsageError(
      `--name takes a name in lower case of at most ${NAME_LENGTH} characters, as example/alice, not ${JSON.stringify(name)}`,
    );
  if (!publish) throw new UsageError("--name is of an audit that is published: tally audit --publish --name");
  return name;
}

/** Signs what an audit came to and submits it; the line that says so. Who disagrees names the snapshot that is wrong. */
export async function publishAudit(
  audit: Audit,
  args: { name?: string; publish?: boolean },
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
  const client = createClient({ url, edges });
  const { index, alreadyLogged, wasEnrolled } = await client.recompute(says, signer, auditorNameOf(args));
  const that = agrees ? "agrees" : "does not agree";
  const done = alreadyLogged
    ? `that your audit ${that} is in the log already, as entry ${index}\n`
    : `published that your audit ${that}, as entry ${index} of the log\n`;
  const kept = wasEnrolled && args.name !== undefined;
  return kept ? `${done}your key was enrolled before, and keeps the name that it has\n` : done;
}
