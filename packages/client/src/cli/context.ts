/** What every command is given. */
import type { Policy } from "@tallystick/protocol";
import type { Edges } from "../edges.ts";
import type { Home } from "./home.ts";
import type { Terminal } from "./terminal.ts";

export type Context = {
  terminal: Terminal;
  home: Home;
  edges: Edges;
  env: NodeJS.ProcessEnv;
  /** The caller's own policy: which witnesses must have cosigned what is believed. */
  policy?: Policy;
};
