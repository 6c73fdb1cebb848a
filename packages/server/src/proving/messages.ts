/** What is said between a proving lane and its child: one request at a time, each with its reply. */
import type { InputMap } from "@noir-lang/noir_js";

/** A program compiled: what the compiler wrote, as JSON. */
export type CompiledProgram = string;

export type Request =
  | { kind: "compile"; text: string }
  /** The verification key and the gates of a program; for a proof without keys there is no other setup. */
  | { kind: "key"; program: CompiledProgram }
  | { kind: "prove"; program: CompiledProgram; verificationKey: Uint8Array; inputs: InputMap }
  | { kind: "verify"; verificationKey: Uint8Array; publicInputs: Uint8Array[]; proof: Uint8Array }
  | { kind: "solidity"; verificationKey: Uint8Array };

export type Reply =
  | { kind: "compiled"; program: CompiledProgram }
  | { kind: "key"; verificationKey: Uint8Array; gates: number }
  | { kind: "proved"; publicInputs: Uint8Array[]; proof: Uint8Array }
  | { kind: "verified"; isValid: boolean }
  | { kind: "solidity"; source: string }
  /** `deadline`, `memory` and `crashed` ended the child; what `refused` says is of the request alone. */
  | { kind: "fault"; reason: "deadline" | "memory" | "crashed" | "refused"; message: string };

/** What a child is given, as JSON in its first argument. The folder is its CRS_PATH as well. */
export type ChildOptions = { threadCount: number; crsFolder: string };
