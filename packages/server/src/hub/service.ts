/** The hub: revisions and their artifacts, by digest. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  equal,
  type FoldState,
  hex,
  isFree,
  keyOf,
  type Manifest,
  type ModelPayload,
  type Price,
  type PublishedModel,
  revisionOf,
  sha256,
} from "@tallystick/protocol";
import { OperatorError, ServiceError, systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";
import { type Package, readModelSource } from "./source.ts";

export type HubParts = {
  /** Artifacts lie here, each under the hex of its SHA-256. */
  folder: string;
  fold: FoldState;
  /** Signs and appends a `model` entry; resolves once the fold has it. */
  publish(says: Omit<ModelPayload, "version">): Promise<void>;
};

export type Hub = {
  /**
   * Takes in the model in `folder`: stores its artifacts, and publishes its revision where the log has not got it, or yanks
   * it. Throws an OperatorError.
   */
  importModel(folder: string): Promise<void>;
  /** The same for what is in no folder: a model that is relayed. */
  importPackage(found: Package): Promise<void>;
  /** The bytes of an artifact, checked against their digest. */
  artifact(digest: Uint8Array): Promise<Uint8Array>;
  /** All artifacts that running a revision takes. */
  files(manifest: Manifest): Promise<Map<string, Uint8Array>>;
  /** What opens the commitment to a revision's weights, where its folder gives it. */
  weightsSaltOf(revision: Uint8Array): Uint8Array | undefined;
  /** The published model that `name` means. Throws not_found or model_yanked. */
  get(name: string, version?: string): PublishedModel;
};

export function createHub({ folder, fold, publish }: HubParts): Hub {
  const pathOf = (digest: Uint8Array) => join(folder, hex(digest));

  /** What lies under a digest: undefined where nothing does. */
  async function find(digest: Uint8Array): Promise<Uint8Array | "damaged" | undefined> {
    try {
      const bytes = new Uint8Array(await readFile(pathOf(digest)));
      return equal(sha256(bytes), digest) ? bytes : "damaged";
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async function artifact(digest: Uint8Array): Promise<Uint8Array> {
    const found = await find(digest);
    if (found === undefined) throw new ServiceError("not_found", `no artifact ${hex(digest)}`);
    if (found === "damaged") throw new ServiceError("internal", `the artifact ${hex(digest)} is damaged on disk`);
    return found;
  }

  /** An artifact of a published model, which ought to be there. */
  async function fileOf(digest: Uint8Array, model: string): Promise<Uint8Array> {
    const found = await find(digest);
    if (found instanceof Uint8Array) return found;
    throw new ServiceError("internal", `an artifact of ${model} is ${found ?? "missing"} on disk: ${hex(digest)}`);
  }

  /** Writes the artifacts that are not there, or not whole. */
  async function store({ manifest, files }: Package): Promise<void> {
    for (const { path, digest } of manifest.artifacts)
      if (!((await find(digest)) instanceof Uint8Array))
        await writeDurably(pathOf(digest), files.get(path) ?? new Uint8Array(0));
  }

  const weightsSalts = new Map<string, Uint8Array>();
  let byName = new Map<string, PublishedModel[]>();
  let indexed = 0;

  /** The revisions of a name, the newest first. Revisions are only ever added, so their number says whether the index is whole. */
  function revisionsOf(name: string): PublishedModel[] {
    if (indexed !== fold.models.size) {
      byName = new Map();
      for (const model of fold.models.values())
        byName.set(model.manifest.name, [model, ...(byName.get(model.manifest.name) ?? [])]);
      indexed = fold.models.size;
    }
    return byName.get(name) ?? [];
  }

  async function importPackage(found: Package): Promise<void> {
    const { manifestBytes, price, yanked } = found;
    const revision = revisionOf(manifestBytes);
    const known = fold.models.get(keyOf(revision));
    if (found.weightsSalt !== undefined) weightsSalts.set(keyOf(revision), found.weightsSalt);
    if (known === undefined) {
      if (yanked) return; // It never was offered.
      await store(found);
      await publish({ action: "publish", revision, manifest: manifestBytes, ...pricePayload(price) });
      return;
    }
    if (spellPrice(known) !== spellPrice(price))
      throw new OperatorError(
        `${found.manifest.name} ${found.manifest.version} was published at the price ${spellPrice(known)}, and a revision has one price: publish ${spellPrice(price)} under another version`,
      );
    await store(found);
    if (yanked && !known.yanked) await publish({ action: "yank", revision });
  }

  return {
    artifact,
    importModel: async (source) => importPackage(await readModelSource(source)),
    importPackage,

    async files(manifest) {
      const wanted = manifest.artifacts.filter(({ role }) => role === "model" || role === "file");
      return new Map(
        await Promise.all(wanted.map(async ({ path, digest }) => [path, await fileOf(digest, manifest.name)] as const)),
      );
    },

    weightsSaltOf: (revision) => weightsSalts.get(keyOf(revision)),

    get(name, version) {
      const named = revisionsOf(name).filter(
        ({ manifest, revision }) => version === undefined || manifest.version === version || hex(revision) === version,
      );
      const offered = named.find(({ yanked }) => !yanked);
      if (offered !== undefined) return offered;
      const called = version === undefined ? `"${name}"` : `"${name}" version "${version}"`;
      if (named.length > 0)
        throw new ServiceError(
          "model_yanked",
          `the model ${called} was withdrawn by its publisher: GET /v1/models lists what is offered`,
        );
      throw new ServiceError("not_found", `no model ${called}: GET /v1/models lists what is offered`);
    },
  };
}

/** What a `model` entry says of a price: what is nothing is left out, but for the price of a call. */
function pricePayload({ priceAtomic, unitPriceAtomic, outputUnitPriceAtomic }: Price): Partial<ModelPayload> {
  return {
    price: priceAtomic,
    ...(unitPriceAtomic === 0n ? {} : { unitPrice: unitPriceAtomic }),
    ...(outputUnitPriceAtomic === 0n ? {} : { outputUnitPrice: outputUnitPriceAtomic }),
  };
}

function spellPrice({ priceAtomic, unitPriceAtomic, outputUnitPriceAtomic }: Price): string {
  return isFree({ priceAtomic: 0n, unitPriceAtomic, outputUnitPriceAtomic })
    ? String(priceAtomic)
    : `${priceAtomic} a call, ${unitPriceAtomic} and ${outputUnitPriceAtomic} a million units in and out`;
}
