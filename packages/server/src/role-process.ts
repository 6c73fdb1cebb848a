/** What the process of a role gives it: where to say things, and when to stop. */
import type { Report } from "./platform/http.ts";

export type RoleProcess = {
  /** On standard output. */
  print(text: string): void;
  /** For the operator: a line of JSON on standard error. */
  report: Report;
  /** Resolves at the first SIGTERM or SIGINT. */
  stopped: Promise<void>;
};

export function openRoleProcess(): RoleProcess {
  // Who reads what it prints may go away; the role goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  return {
    print: (text) => void process.stdout.write(text),
    report: (event, detail) => void process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`),
    stopped: new Promise((resolve) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
    }),
  };
}
