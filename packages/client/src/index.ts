/** The SDK: what an application uses. */
export {
  type LogTrust,
  type Purpose,
  parseNoteKey,
  parsePolicy,
  trustInLog,
  valueBucketOf,
} from "@tallystick/protocol";
export type { VerifiedAnswer } from "./answer-check.ts";
export { type Audit, type AuditOptions, auditLog } from "./audit/audit.ts";
export type { Finding } from "./audit/findings.ts";
export { fetchSource, type LogSource } from "./audit/source.ts";
export {
  type Answer,
  type ChatOptions,
  type Client,
  type ClientOptions,
  createClient,
  type InferOptions,
} from "./client.ts";
export type { Completed, CompletionStream } from "./completions.ts";
export { type Edges, systemEdges } from "./edges.ts";
export {
  findTallystickError,
  IncompleteLogError,
  RefusedError,
  TallystickError,
  UnreachableError,
  UnverifiedError,
  WrongTileError,
} from "./errors.ts";
export { createInputs } from "./inputs.ts";
export { createKey, openKey } from "./keys.ts";
export type { Alarm, AlarmKind, SignedCheckpoint } from "./log/alarm.ts";
export { type Copied, type CopyOptions, type CopyPlace, copyLog } from "./log/copy.ts";
export type { Damage } from "./log/damage.ts";
export { type Accepted, type FollowOptions, followLog, type Look } from "./log/follow.ts";
export { type Fsck, type FsckOptions, fsckLog } from "./log/fsck.ts";
export { readCheckpoint, type VerifiedCheckpoint, verifiedCheckpoint } from "./log/head.ts";
export { proveEntry, readEntry } from "./log/prove.ts";
export { LogTree, openTree } from "./log/tree.ts";
export { type Compared, type WitnessWatch, watchWitness } from "./log/witness.ts";
export type { Model, ModelRow } from "./models.ts";
export type { VerifiedProof } from "./proved-answer.ts";
export { type AnswerReceipt, openingOf, receiptOf } from "./receipt-of.ts";
export type { CallTerms } from "./requester.ts";
export type { Logged, Reliance } from "./statements.ts";
export { createVerifiedFetch, type VerifiedFetch, type VerifiedFetchOptions } from "./verified-fetch.ts";
