/** What the outside may use. */
export { type SignatureAlgorithm, sha256, sha384, verifyEd25519, verifyEs256, verifySignature } from "#platform";
export * from "./attest/again.ts";
export * from "./attest/appraisal.ts";
export { appraise, type Circumstances } from "./attest/appraise.ts";
export * from "./attest/evidence.ts";
export { appraiseHopper, type GoldenValues } from "./attest/hopper.ts";
export { appraiseNitro } from "./attest/nitro.ts";
export * from "./attest/roots.ts";
export * from "./attest/simulated.ts";
export { appraiseSnp } from "./attest/snp.ts";
export { appraiseTdx } from "./attest/tdx.ts";
export { parseCertificate, parsePemChain } from "./attest/x509.ts";
export * from "./bytes.ts";
export * from "./call/call.ts";
export * from "./call/dispatch.ts";
export * from "./call/operation.ts";
export * from "./call/reply.ts";
export * from "./call/tensor.ts";
export * from "./call/tensor-json.ts";
export { Malformed } from "./cbor/bytes.ts";
export * from "./elementary.ts";
export * from "./entry/entry.ts";
export * from "./entry/payload.ts";
export type { SettlementPayload, TopupSource } from "./entry/settlement.ts";
export * from "./entry/usage.ts";
export * from "./entry/verification.ts";
export * from "./json/canonical.ts";
export * from "./limits.ts";
export * from "./log/checkpoint.ts";
export * from "./log/cose-receipt.ts";
export * from "./log/handover.ts";
export * from "./log/merkle.ts";
export * from "./log/note.ts";
export * from "./log/policy.ts";
export * from "./log/proof.ts";
export * from "./log/tile.ts";
export * from "./log/trust.ts";
export * from "./log/witness.ts";
export * from "./lot/bound.ts";
export * from "./lot/draw.ts";
export * from "./lot/due.ts";
export * from "./lot/shapes.ts";
export * from "./model/codec.ts";
export * from "./model/inputs.ts";
export * from "./model/manifest.ts";
export * from "./model/price.ts";
export * from "./openai/answer.ts";
export * from "./openai/call.ts";
export * from "./openai/frame.ts";
export * from "./openai/price-bound.ts";
export * from "./openai/response.ts";
export * from "./openai/usage.ts";
export * from "./policy/acceptance.ts";
export * from "./policy/facts.ts";
export * from "./policy/satisfies.ts";
export * from "./proof/answer.ts";
export * from "./proof/ceremony.ts";
export * from "./proof/check.ts";
export * from "./proof/circuit.ts";
export * from "./proof/commitment.ts";
export * from "./proof/evidence.ts";
export * from "./proof/field.ts";
export * from "./proof/plan.ts";
export * from "./proof/quantise.ts";
export * from "./receipt/disclosed.ts";
export * from "./receipt/file.ts";
export * from "./receipt/history.ts";
export * from "./receipt/lot-opening.ts";
export * from "./receipt/stream.ts";
export { brokenCounts, unmetTier } from "./receipt/terms.ts";
export * from "./receipt/tiers.ts";
export * from "./receipt/verify.ts";
export { keyId, parseSigned, type Signed, type Signer, signedId, signPayload, verifySigned } from "./sign/cose.ts";
export { ASKED_MOST, awaitsDraw } from "./usage/asked.ts";
export { type ClosedDay, closesAt, type DayCoverage, type DayFigures } from "./usage/closed-days.ts";
export * from "./usage/closed-rows.ts";
export type { Counts, Revenue } from "./usage/counts.ts";
export {
  type Bound,
  type CoverageFigures,
  type NodeFigures,
  percentOf,
  type VerifierFigures,
} from "./usage/coverage-figures.ts";
export * from "./usage/credits.ts";
export * from "./usage/credits-state.ts";
export * from "./usage/day.ts";
export type { DemandFigures } from "./usage/demand-figures.ts";
export * from "./usage/figures.ts";
export * from "./usage/fold.ts";
export * from "./usage/grade.ts";
export * from "./usage/judgement.ts";
export * from "./usage/lanes.ts";
export * from "./usage/lot-state.ts";
export * from "./usage/lots.ts";
export * from "./usage/metrics/catalogue.ts";
export { daysFrom } from "./usage/metrics/days.ts";
export * from "./usage/metrics/document-text.ts";
export * from "./usage/metrics/documents.ts";
export {
  DIMENSIONS,
  type Dimension,
  KINDS,
  type Kind,
  type Metric,
  OTHER,
  PERIODS,
  type Period,
} from "./usage/metrics/metric.ts";
export { NoSuchFigure, periodStart, type Query, type QueryRow, Question, ROWS_MOST } from "./usage/metrics/query.ts";
export type { Quad, Row, Value } from "./usage/metrics/rows.ts";
export * from "./usage/metrics/series.ts";
export { clustersOf } from "./usage/organic/clusters.ts";
export * from "./usage/organic/judge.ts";
export * from "./usage/organic/reliers.ts";
export * from "./usage/proof-state.ts";
export { reliedOn } from "./usage/relied.ts";
export * from "./usage/roots.ts";
export * from "./usage/rows.ts";
export * from "./usage/signatures.ts";
export * from "./usage/snapshots.ts";
export * from "./usage/standing.ts";
export * from "./usage/state.ts";
export * from "./usage/wash-rules.ts";
export * from "./verdict.ts";
