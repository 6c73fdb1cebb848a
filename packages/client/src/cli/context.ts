/** What every command is given. */
import type { Edges } from "../edges.ts";
import type { Home } from "./home.ts";
import type { Terminal } from "./terminal.ts";

export type Context = { terminal: Terminal; home: Home; edges: Edges; env: NodeJS.ProcessEnv };
