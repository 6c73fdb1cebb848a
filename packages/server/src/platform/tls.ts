/** The certificate and key that an operator gives for TLS: read and checked once, at the start. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { sha256 } from "@tallystick/protocol";
import { OperatorError } from "./errors.ts";
import { requirePrivate } from "./private-files.ts";

export type TlsFiles = { certPath: string; keyPath: string };
/** Both in PEM; the certificate may have its chain behind it. */
export type TlsPair = { cert: string; key: string };

/** Reads the pair that serves `host`, a name or an address. Throws an OperatorError where it cannot. */
export async function readTls({ certPath, keyPath }: TlsFiles, host: string): Promise<TlsPair> {
  const cert = await readFile(certPath, "utf8").catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OperatorError(`the certificate cannot be read: ${why}; give its file with --tls-cert`, { cause });
  });
  await requirePrivate(keyPath, "file", "give the certificate's private key with --tls-key");
  const key = await readFile(keyPath, "utf8");
  const certificate = parseCertificate(cert, certPath);
  if (!certificate.checkPrivateKey(parsePrivateKey(key, keyPath)))
    throw new OperatorError(
      `${keyPath} is not the key of the certificate ${certPath}: give a pair that belongs together`,
    );
  const name = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  if (name === undefined)
    throw new OperatorError(
      `the certificate ${certPath} is not for ${host} but for ${certificate.subjectAltName ?? "no name"}: give --url with a name that it is for`,
    );
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OperatorError(`TLS does not take ${certPath} with ${keyPath}: ${why}`, { cause });
  }
  return { cert, key };
}

/** SHA-256 of the SubjectPublicKeyInfo of a certificate, in PEM or DER. */
export function tlsKeyOf(cert: string | Uint8Array): Uint8Array {
  return sha256(new Uint8Array(new X509Certificate(cert).publicKey.export({ format: "der", type: "spki" })));
}

function parseCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new OperatorError(`${path} is not a certificate in PEM: give one with --tls-cert`, { cause });
  }
}

function parsePrivateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new OperatorError(`${path} is not a private key in PEM without a passphrase: give one with --tls-key`, {
      cause,
    });
  }
}
