/** The revision that is published for an upstream's model: a manifest without artifacts, which names who runs it. */
import { encodeManifest, filesRoot, Malformed, type Manifest, type Price, parseManifest } from "@tallystick/protocol";
import { OperatorError } from "../platform/errors.ts";
import type { UpstreamModel } from "./config.ts";

export type RelayedPackage = {
  manifest: Manifest;
  manifestBytes: Uint8Array;
  price: Price;
  yanked: boolean;
  /** None: what answers lies elsewhere. */
  files: Map<string, Uint8Array>;
};

/** The package of `model` at `upstream`, its registered name. Throws an OperatorError where no manifest can say it. */
export function createPackage(upstream: string, model: UpstreamModel): RelayedPackage {
  const { name, version, licence, summary, operations, contextLength, yanked } = model;
  const embedsOnly = operations.every((operation) => operation === "embedding");
  const manifest: Manifest = {
    ...{ name, version, licence, summary, upstream, operations, contextLength },
    category: "text",
    task: embedsOnly ? "text-embedding" : "text-generation",
    artifacts: [],
    filesRoot: filesRoot([]),
    adapter: { name: "openai-compatible", version: 1, options: "{}" },
    engine: "relay",
    forms: [],
    outputs: [],
    unit: "token",
    quality: [],
  };
  const price: Price = {
    priceAtomic: BigInt(model.price),
    unitPriceAtomic: BigInt(model.unitPrice),
    outputUnitPriceAtomic: BigInt(model.outputUnitPrice),
  };
  try {
    const manifestBytes = encodeManifest(manifest);
    return { manifest: parseManifest(manifestBytes), manifestBytes, price, yanked, files: new Map() };
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`the model ${name} of the upstream ${upstream} is none: it ${cause.message}`, { cause });
  }
}
