/** Models as a network describes them. */
import { type Manifest, parseHex, type TensorSpec } from "@tallystick/protocol";
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
  state: string;
  valid: number;
  decisionsReliedOn: number;
};

/** A model and all that is needed to call it. */
export type Model = ModelRow & {
  revisionDigest: Uint8Array;
  forms: TensorSpec[][];
  outputs: TensorSpec[];
  artifacts: { path: string; role: Manifest["artifacts"][number]["role"]; sizeBytes: number; sha256: string }[];
};

/** What `GET /v1/models/{name}` says of a model beyond its row: the manifest in JSON, its digests in hex. */
type ManifestJson = Pick<Model, "forms" | "outputs" | "artifacts">;

export async function listModels(http: Http): Promise<ModelRow[]> {
  const rows = fieldOf(await http.json("/v1/models"), "data");
  return Array.isArray(rows) ? rows.map(rowOf) : [];
}

/** Throws RefusedError where there is no such model. */
export async function getModel(http: Http, name: string): Promise<Model> {
  const described = await http.json(`/v1/models/${name.split("/").map(encodeURIComponent).join("/")}`);
  const { forms, outputs, artifacts } = fieldOf(described, "manifest") as ManifestJson; // Ours to read; what is signed is the revision's digest.
  const row = rowOf(described);
  const revisionDigest = parseHex(row.revision);
  if (revisionDigest?.length !== 32) throw new UnverifiedError(`the network does not say which revision ${name} is`);
  return { ...row, revisionDigest, forms, outputs, artifacts };
}

function rowOf(described: unknown): ModelRow {
  const ours = fieldOf(described, "tallystick");
  const text = (key: string) => String(fieldOf(ours, key) ?? "");
  return {
    name: String(fieldOf(described, "id")),
    version: text("version"),
    category: text("category"),
    task: text("task"),
    licence: text("licence"),
    summary: text("summary"),
    revision: text("revision"),
    priceAtomic: BigInt(text("price") || "0"),
    state: text("state"),
    valid: Number(fieldOf(ours, "valid") ?? 0),
    decisionsReliedOn: Number(fieldOf(ours, "decisionsReliedOn") ?? 0),
  };
}
