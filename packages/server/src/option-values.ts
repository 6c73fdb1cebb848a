/** What an operator writes on a command line, made into values. Each throws an OperatorError that says what it takes. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { OperatorError } from "./platform/errors.ts";
import type { TlsFiles } from "./platform/tls.ts";

const MIB = 1024 * 1024;

/** What stands behind `command`, and where its options are listed where that cannot be read. */
export function readArguments<const T extends ParseArgsConfig>(
  command: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : cause;
    throw new OperatorError(`${why}. ${command} --help lists the options`, { cause });
  }
}

/** The whole number given with `--name`, within its range. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new OperatorError(`--${name} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

/** The bytes of the mebibytes given with `--name`. */
export function mebibytes(name: string, text: string, least: number, most = 999_999): number {
  return wholeNumber(name, text, least, most) * MIB;
}

/** One of the words that `--name` knows. */
export function oneOf<T extends string>(name: string, known: readonly T[], text: string): T {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  throw new OperatorError(`--${name} takes one of ${known.join(", ")}, not ${JSON.stringify(text)}`);
}

/** The pair that is given for TLS, or none. */
export function tlsFiles(certPath: string | undefined, keyPath: string | undefined): TlsFiles | undefined {
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath };
  if (certPath === undefined && keyPath === undefined) return undefined;
  throw new OperatorError("--tls-cert and --tls-key go together: give both");
}

/** A URL without a path, given with `--name`: others put theirs behind it. */
export function parseUrl(name: string, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) {
    const { origin, href } = new URL(text);
    if (href === `${origin}/`) return origin;
  }
  throw new OperatorError(
    `--${name} takes a URL of scheme, host and port, as https://tallystick.example, not ${JSON.stringify(text)}`,
  );
}
