/** Keys in PEM files: those by which a person relies, disputes and audits, and any other that signs what a command logs. */
import { parseBase64, type Signer } from "@tallystick/protocol";
import { createKey, openKey } from "../keys.ts";
import { findFile, writePrivately } from "./home.ts";
import { type Terminal, UsageError } from "./terminal.ts";

/** The key in `path` by which a user relies, disputes, or publishes an audit; their own is made when they first do. */
export async function openOwnKey(
  role: "relier" | "disputer" | "auditor",
  path: string,
  mayMake: boolean,
  { err }: Terminal,
): Promise<Signer> {
  if (!mayMake || (await findFile(path)) !== undefined) return openKeyFile(path);
  const { signer, pkcs8 } = await createKey();
  const body = Buffer.from(pkcs8)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")
    .trimEnd();
  await writePrivately(path, `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`);
  err(`made ${role === "auditor" ? "an" : "a"} ${role}'s key in ${path}: it is yours, keep it\n`);
  return signer;
}

/** The P-256 key in the PEM file at `path`. */
export async function openKeyFile(path: string): Promise<Signer> {
  const pem = await findFile(path);
  if (pem === undefined) throw new UsageError(`there is no key in ${path}`);
  return readKey(new TextDecoder().decode(pem), path);
}

const PEM = /^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END PRIVATE KEY-----\s*$/;

async function readKey(pem: string, path: string): Promise<Signer> {
  const body = PEM.exec(pem.replaceAll("\r", ""))?.[1];
  const der = body === undefined ? undefined : parseBase64(body.replaceAll("\n", ""));
  const problem = `${path} is not a P-256 private key in PEM (PKCS #8, "BEGIN PRIVATE KEY")`;
  if (der === undefined) throw new UsageError(problem);
  return openKey(der).catch((cause: unknown) => {
    throw new UsageError(problem, { cause });
  });
}
