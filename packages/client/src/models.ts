/** Models as a network describes them. */
import {
  hex,
  type JsonOperation,
  Malformed,
  type Manifest,
  parseBase64,
  parseManifest,
  revisionOf,
  type TensorSpec,
} from "@tallystick/protocol";
import { UnverifiedError } from "./errors.ts";
import { fieldOf, type Http } from "./http.ts";

/** A row of `GET /v1/models`. */
export type ModelRow = {
  name: string;
  version: string;
  category: string;
  task: string;
  licence: string;
  summary: string;
  revision: string;
  priceAtomic: bigint;
  /** A million of the model's units; of a language model, a million input tokens. */
  unitPriceAtomic: bigint;
  /** A million output tokens. */
  outputUnitPriceAtomic: bigint;
  state: string;
  /** Its place among the models of `GET /v1/usage`: by organic inferences first. `null` while it is too new for figures. */
  rank: number | null;
  organic: number;
  valid: number;
  decisionsReliedOn: number;
};

/** A model and all that is needed to call it. */
export type Model = ModelRow & {
  revisionDigest: Uint8Array;
  forms: TensorSpec[][];
  outputs: TensorSpec[];
  /** OpenAI's operations that it serves. */
  operations: readonly JsonOperation[];
  /** The most tokens of input and output together. */
  contextLength?: number;
  artifacts: { path: string; role: Manifest["artifacts"][number]["role"]; sizeBytes: number; sha256: string }[];
};

export async function listModels(http: Http): Promise<ModelRow[]> {
  const rows = fieldOf(await http.json("/v1/models"), "data");
  return Array.isArray(rows) ? rows.map(rowOf) : [];
}

/**
 * The model that the network means by `name`. Throws RefusedError where it has none, and UnverifiedError where what it
 * says is not of that name, or is not what the revision is the digest of.
 */
export async function getModel(http: Http, name: string): Promise<Model> {
  const described = await http.json(`/v1/models/${name.split("/").map(encodeURIComponent).join("/")}`);
  const row = rowOf(described);
  const manifestBytes = parseBase64(String(fieldOf(described, "manifestBytes"))) ?? new Uint8Array(0);
  const revisionDigest = revisionOf(manifestBytes);
  if (hex(revisionDigest) !== row.revision)
    throw new UnverifiedError(`the network does not say what ${name} is made of`);
  const { forms, outputs, artifacts, operations = [], contextLength, ...manifest } = manifestOf(manifestBytes);
  if (manifest.name !== name) throw new UnverifiedError(`asked for ${name}, the network means ${manifest.name}`);
  const files = artifacts.map(({ digest, ...artifact }) => ({ ...artifact, sha256: hex(digest) }));
  return {
    ...row,
    ...{ name, version: manifest.version, revisionDigest, forms, outputs, operations, artifacts: files },
    ...(contextLength === undefined ? {} : { contextLength }),
  };
}

function manifestOf(bytes: Uint8Array): Manifest {
  try {
    return parseManifest(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) throw new UnverifiedError(`the network's manifest ${cause.message}`, { cause });
    throw cause;
  }
}

function rowOf(described: unknown): ModelRow {
  const ours = fieldOf(described, "tallystick");
  const text = (key: string) => String(fieldOf(ours, key) ?? "");
  const rank = Number(fieldOf(ours, "rank"));
  const atomic = (key: string) => BigInt(/^[0-9]{1,20}$/.test(text(key)) ? text(key) : "0");
  return {
    name: String(fieldOf(described, "id")),
    version: text("version"),
    category: text("category"),
    task: text("task"),
    licence: text("licence"),
    summary: text("summary"),
    revision: text("revision"),
    priceAtomic: atomic("price"),
    unitPriceAtomic: atomic("unitPrice"),
    outputUnitPriceAtomic: atomic("outputUnitPrice"),
    state: text("state"),
    rank: Number.isSafeInteger(rank) ? rank : null,
    organic: Number(fieldOf(fieldOf(ours, "demand"), "organic") ?? 0),
    valid: Number(fieldOf(ours, "valid") ?? 0),
    decisionsReliedOn: Number(fieldOf(ours, "decisionsReliedOn") ?? 0),
  };
}
