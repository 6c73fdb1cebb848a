/** What the outside may use: a network in this process, and the daemon around one. */
export { type Listening, listen } from "./listen.ts";
export { main } from "./main.ts";
export { type Network, type NetworkOptions, openNetwork } from "./network.ts";
export { type NodeRole, type NodeRoleOptions, openNodeRole } from "./node-role.ts";
export { type Clock, systemClock } from "./platform/clock.ts";
export type { Report } from "./platform/http.ts";
export { createSystemRandom, type Random } from "./platform/random.ts";
export { openVerifierRole, type VerifierRole, type VerifierRoleOptions } from "./verifier-role.ts";
