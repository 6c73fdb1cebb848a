/** The hub over HTTP: what is offered, what a model is, artifacts by digest. */
import { base64, encodeManifest, hex, type PublishedModel, parseHex } from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import type { Hub } from "./service.ts";

/** How a model is used, by the hex of its revision. */
export type ModelUse = (revision: string) => { state: string; valid: number; decisionsReliedOn: number } | undefined;

export type HubRoutes = {
  hub: Hub;
  models(): Iterable<PublishedModel>;
  use: ModelUse;
  /** When the log's clock saw an entry, Unix seconds; undefined until it has. */
  timeOf(index: number): number | undefined;
};

export function hubRoutes({ hub, models, use, timeOf }: HubRoutes): Hono {
  const app = new Hono();
  const describe = (model: PublishedModel) => describeModel(model, use, timeOf(model.index) ?? 0);

  app.get("/v1/models", (c) => {
    const offered = [...models()].filter(({ yanked }) => !yanked);
    return c.json({ object: "list", data: offered.map(describe) });
  });

  app.get("/v1/models/:name{.+}", (c) => {
    const model = hub.get(c.req.param("name"), c.req.query("version"));
    const manifestBytes = base64(encodeManifest(model.manifest)); // What the revision is the SHA-256 of.
    return c.json({ ...describe(model), manifest: describeManifest(model), manifestBytes });
  });

  app.get("/v1/artifacts/:digest", async (c) => sendArtifact(c, hub));
  return app;
}

/** A row of OpenAI's model list, with ours beside it. */
function describeModel(
  { revision, manifest, index, ...price }: PublishedModel,
  use: ModelUse,
  createdSeconds: number,
): Record<string, unknown> {
  const { name, version, category, task, licence, summary, unit, operations = [], contextLength } = manifest;
  const revisionHex = hex(revision);
  return {
    id: name,
    object: "model",
    created: createdSeconds,
    owned_by: name.split("/")[0],
    ...(contextLength === undefined ? {} : { context_length: contextLength }),
    tallystick: {
      revision: revisionHex,
      version,
      category,
      task,
      licence,
      summary,
      unit,
      operations,
      price: String(price.priceAtomic),
      unitPrice: String(price.unitPriceAtomic),
      outputUnitPrice: String(price.outputUnitPriceAtomic),
      index,
      ...use(revisionHex),
    },
  };
}

function describeManifest({ manifest }: PublishedModel): Record<string, unknown> {
  const { artifacts, filesRoot, ...rest } = manifest;
  return {
    ...rest,
    filesRoot: hex(filesRoot),
    artifacts: artifacts.map(({ digest, ...artifact }) => ({ ...artifact, sha256: hex(digest) })),
  };
}

async function sendArtifact(c: Context, hub: Hub): Promise<Response> {
  const digest = parseHex(c.req.param("digest") ?? "");
  if (digest?.length !== 32)
    throw new ServiceError("invalid_request", "an artifact is named by 64 digits of lower-case hex, its SHA-256");
  const bytes = await hub.artifact(digest);
  return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
    "content-type": "application/octet-stream",
    "cache-control": "public, max-age=31536000, immutable",
  });
}
