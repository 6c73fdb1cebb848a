/** `tallyd witness`: opens a witness, listens, says by which key it cosigns, and ends cleanly. */
import { encodeNoteKey } from "@tallystick/protocol";
import type { Hono } from "hono";
import { type Listening, listen } from "./listen.ts";
import { systemClock } from "./platform/clock.ts";
import { ServiceError } from "./platform/errors.ts";
import { errorResponse, type Report } from "./platform/http.ts";
import type { RoleProcess } from "./role-process.ts";
import { openWitness } from "./witness/open.ts";
import { witnessRoutes } from "./witness/routes.ts";
import type { Witness } from "./witness/service.ts";
import { parseWitnessOptions, WITNESS_HELP, type WitnessCommand } from "./witness-options.ts";

/** Runs until `stopped` resolves. Throws where it cannot start. */
export async function runWitness(args: string[], { print, report, stopped }: RoleProcess): Promise<void> {
  const command = parseWitnessOptions(args);
  if (command === "help") return print(WITNESS_HELP);
  const witness = await openWitness({ ...command, folder: command.data, clock: systemClock, report });
  let listening: Listening | undefined;
  try {
    const application = witnessApplication(witness, report);
    listening = await listen({ application: () => application }, command);
    print(readyText(command, witness, listening.url));
    await stopped;
  } finally {
    await listening?.close();
    await witness.close();
  }
}

function witnessApplication(witness: Witness, report: Report): Hono {
  const app = witnessRoutes(witness);
  app.notFound((c) =>
    errorResponse(c, new ServiceError("not_found", `nothing at ${c.req.method} ${c.req.path}`), report),
  );
  app.onError((error, c) => errorResponse(c, error, report));
  return app;
}

/** What it prints when it is ready: where, and the line by which others trust it (C2SP tlog-policy). */
function readyText({ logs, json }: WitnessCommand, { key }: Witness, url: string): string {
  const vkey = encodeNoteKey(key);
  const policyLine = `witness ${key.name} ${vkey} ${url}`;
  if (json) return `${JSON.stringify({ url, name: key.name, vkey, policyLine })}\n`;
  return `The witness is ready at ${url}

It cosigns the checkpoints of:

${logs.map(({ origin }) => `  ${origin}\n`).join("")}
For the trust policy of whoever relies on it:

  ${policyLine}
`;
}
