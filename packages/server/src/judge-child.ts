/** The process that a verifier or a referee runs models again in: apart from calls, from keys, and from the network. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hex } from "@tallystick/protocol";
import { type Claim, type Judge, openReexecution, type Reexecution } from "./execution/reexecute.ts";

/** A claim whose files lie in a folder, each under the hex of its SHA-256. */
export type JudgeRequest = { number: number; claim: Omit<Claim, "files">; folder: string };
export type JudgeReply =
  | { kind: "found"; number: number; found: Reexecution }
  | { kind: "failed"; number: number; error: string }
  | { kind: "said"; event: string; detail: Record<string, unknown> };

let opening: Promise<Judge> | undefined;

function reply(message: JudgeReply): void {
  process.send?.(message);
}

async function filesOf({ manifest }: JudgeRequest["claim"], folder: string): Promise<Map<string, Uint8Array>> {
  const wanted = manifest.artifacts.filter(({ role }) => role === "model" || role === "file");
  const read = async (digest: Uint8Array) => new Uint8Array(await readFile(join(folder, hex(digest))));
  return new Map(await Promise.all(wanted.map(async ({ path, digest }) => [path, await read(digest)] as const)));
}

process.on("message", (request: JudgeRequest) => {
  const { number, claim, folder } = request;
  opening ??= openReexecution({ log: (event, detail) => reply({ kind: "said", event, detail }) });
  Promise.all([opening, filesOf(claim, folder)])
    .then(([judge, files]) => judge.reexecute({ ...claim, files }))
    .then(
      (found) => reply({ kind: "found", number, found }),
      (error: unknown) => reply({ kind: "failed", number, error: String(error) }),
    );
});
// Who asked is gone, or wants no more: nothing is left to wait for.
process.on("disconnect", () => void opening?.then((judge) => judge[Symbol.asyncDispose]()));
