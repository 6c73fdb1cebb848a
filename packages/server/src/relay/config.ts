/**
 * The upstreams file of `tallyd --upstreams` (docs/operating/upstreams.md): whom this network relays to, and the models it
 * publishes for them. Hosts come from here alone; keys lie in files of their own, which this names.
 */
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { dirname, resolve } from "node:path";
import { NAME_LENGTH, SLUG } from "@tallystick/protocol";
import { z } from "zod";
import { OperatorError, systemCode } from "../platform/errors.ts";
import { requirePrivate } from "../platform/private-files.ts";
import { UPSTREAMS_FILE_SIZE_BYTES, WORD_LENGTH } from "./limits.ts";
import { OWN_PARAMETERS } from "./parameters.ts";
import { isPrivateAddress } from "./private-address.ts";

const atomic = z.string().regex(/^(0|[1-9][0-9]{0,18})$/, "must be a decimal number of atomic units");
const durationMs = z.number().int().min(1).max(3_600_000);
const parameter = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,63}$/, "must be a parameter's name")
  .refine((name) => !OWN_PARAMETERS.includes(name), "is the node's own to say");

const Model = z.strictObject({
  name: z
    .string()
    .max(NAME_LENGTH)
    .regex(/^[a-z0-9][a-z0-9._-]*\/[a-z0-9][a-z0-9._-]*$/, "must be publisher/model"),
  version: z.string(),
  /** What the upstream calls it. In no manifest and no log: receipts commit to what the upstream says. */
  upstreamModel: z.string().min(1).max(WORD_LENGTH),
  operations: z
    .array(z.enum(["chat", "completion", "embedding", "response"]))
    .min(1)
    .refine((names) => new Set(names).size === names.length, "must name each operation once")
    .refine((names) => !names.includes("response") || names.includes("chat"), "response is served by chat: add it"),
  contextLength: z.number().int().positive(),
  licence: z.string(),
  summary: z.string(),
  price: atomic.default("0"),
  unitPrice: atomic.default("0"),
  outputUnitPrice: atomic.default("0"),
  /** Names beside OpenAI's that this model honours, and those of OpenAI's that it does not. */
  extraParameters: z.array(parameter).max(64).default([]),
  unsupportedParameters: z.array(parameter).max(64).default([]),
  yanked: z.boolean().default(false),
});
export type UpstreamModel = z.infer<typeof Model>;

const Upstream = z.strictObject({
  name: z.string().max(64).regex(SLUG, "must be lower-case letters, digits and hyphens"),
  url: z.string(),
  /** Without TLS, which is for this machine and private networks alone. */
  allowHttp: z.boolean().default(false),
  apiKeyFile: z.string().min(1).exactOptional(),
  /** False for an upstream that cannot stream with usage: it is asked for answers in one piece. */
  stream: z.boolean().default(true),
  embeddingFormat: z.enum(["base64", "float"]).default("base64"),
  concurrency: z.number().int().min(1).max(1_024).default(64),
  timeouts: z
    .strictObject({
      connectMs: durationMs.default(5_000),
      firstByteMs: durationMs.default(60_000),
      betweenChunksMs: durationMs.default(30_000),
      wholeMs: durationMs.default(300_000),
    })
    .prefault({}),
  models: z.array(Model).min(1).max(64),
});

const Upstreams = z.array(Upstream).max(64);

export type UpstreamConfig = Omit<z.infer<typeof Upstream>, "url" | "apiKeyFile"> & {
  url: URL;
  apiKey: string | undefined;
};

/** Reads the upstreams file and the keys that it names. Throws an OperatorError, which never holds a key. */
export async function readUpstreams(path: string): Promise<UpstreamConfig[]> {
  const parsed = Upstreams.safeParse(parseJson(await readBounded(path), path));
  if (!parsed.success) throw new OperatorError(`${path} is not a list of upstreams: ${z.prettifyError(parsed.error)}`);
  requireOnce(
    parsed.data.map(({ name }) => name),
    "upstream",
    path,
  );
  requireOnce(
    parsed.data.flatMap(({ models }) => models.map(({ name }) => name)),
    "model",
    path,
  );
  return Promise.all(
    parsed.data.map(async ({ url, apiKeyFile, ...rest }) => ({
      ...rest,
      url: parseUrl(url, rest.name, rest.allowHttp),
      apiKey: apiKeyFile === undefined ? undefined : await readApiKey(resolve(dirname(path), apiKeyFile), rest.name),
    })),
  );
}

async function readBounded(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > UPSTREAMS_FILE_SIZE_BYTES)
      throw new OperatorError(
        `${path} has ${size} bytes, and a list of upstreams at most ${UPSTREAMS_FILE_SIZE_BYTES}`,
      );
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    const why = systemCode(cause) === "ENOENT" ? "is missing" : `cannot be read (${systemCode(cause) ?? cause})`;
    throw new OperatorError(`${path} ${why}: give a list of upstreams with --upstreams`, { cause });
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // V8 quotes what it met, which may be a key that somebody put where none belongs.
    throw new OperatorError(`${path} is not JSON: give a list of upstreams with --upstreams`);
  }
}

function requireOnce(names: string[], what: string, path: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new OperatorError(`${path} names the ${what} ${twice} twice: name it once`);
}

function parseUrl(text: string, upstream: string, allowHttp: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.protocol === "http:";
  if (url === undefined || (url.protocol !== "https:" && !isPlain))
    throw new OperatorError(`the url of the upstream ${upstream} is none: give https://host/v1`);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw new OperatorError(
      `the url of the upstream ${upstream} has more than host, port and path: a key goes into a file, named by apiKeyFile`,
    );
  if (isPlain && !allowHttp)
    throw new OperatorError(
      `the upstream ${upstream} is reached without TLS: give https, or say "allowHttp": true where it is on this machine or in a private network`,
    );
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isPlain && isIP(host) !== 0 && !isPrivateAddress(host))
    throw new OperatorError(`the upstream ${upstream} has a public address, which takes TLS: give https`);
  return url;
}

/** What a header can carry: visible ASCII. */
const API_KEY = /^[!-~]{1,4096}$/;

async function readApiKey(path: string, upstream: string): Promise<string> {
  await requirePrivate(path, "file", `put the key of the upstream ${upstream} there, in a line`);
  const key = (await readFile(path, "utf8")).trim();
  if (!API_KEY.test(key))
    throw new OperatorError(`${path} holds no API key: put one there, in a line of visible ASCII`);
  return key;
}
