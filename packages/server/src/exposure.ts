/** Who may reach the port: others than this machine only by TLS, and only on keys that were made for it. */
import { BlockList, isIP } from "node:net";
import { relative, resolve } from "node:path";
import { OperatorError } from "./platform/errors.ts";
import type { TlsFiles } from "./platform/tls.ts";

export type Exposure = {
  host: string;
  port: number;
  data: string;
  /** The folder given with --keys. */
  keys: string | undefined;
  tls: TlsFiles | undefined;
  /** Whether a reverse proxy is said to end TLS. */
  behindTlsProxy: boolean;
  /** Where clients are told that the network is. */
  url: string | undefined;
};

/** Addresses that are not routed on the internet: RFC 1918 and RFC 4193. */
const PRIVATE = new BlockList();
PRIVATE.addSubnet("10.0.0.0", 8, "ipv4");
PRIVATE.addSubnet("172.16.0.0", 12, "ipv4");
PRIVATE.addSubnet("192.168.0.0", 16, "ipv4");
PRIVATE.addSubnet("fc00::", 7, "ipv6");

/** Refuses what would serve others in clear, or under keys that nobody chose. Throws an OperatorError that says what to run. */
export function requireSafeExposure(exposure: Exposure): void {
  const { host, data, keys, tls, behindTlsProxy, url } = exposure;
  if (tls !== undefined && behindTlsProxy)
    throw new OperatorError("TLS ends in one place: give --tls-cert and --tls-key, or --behind-tls-proxy");
  const isEncrypted = tls !== undefined || behindTlsProxy;
  if (url !== undefined && new URL(url).protocol !== (isEncrypted ? "https:" : "http:"))
    throw new OperatorError(
      isEncrypted
        ? `--url ${url} is not https, by which this network is reached`
        : `--url ${url} needs --tls-cert and --tls-key, or --behind-tls-proxy: this network is reached by http`,
    );
  if (isLoopback(host) && !behindTlsProxy) return;
  if (!isEncrypted)
    throw new OperatorError(
      `--host ${host} is no loopback address, and others are served by TLS alone, on keys made for it: ${commands(exposure)}`,
    );
  if (behindTlsProxy && !isLoopback(host) && !isPrivate(host))
    throw new OperatorError(
      `--host ${host} would serve plain HTTP beside the proxy: with --behind-tls-proxy listen on a loopback or private address`,
    );
  if (keys === undefined)
    throw new OperatorError(
      `others are served only on keys that were made for it, and a first start made those of ${data} unasked: ${commands(exposure)}`,
    );
  if (isWithin(keys, data))
    throw new OperatorError(
      `--keys ${keys} lies in the data folder: others are served only on keys in a folder of their own; ${commands(exposure)}`,
    );
  if (url === undefined && (behindTlsProxy || isEveryAddress(host)))
    throw new OperatorError(
      `where is this network reached? ${behindTlsProxy ? "The proxy" : `${host} is every address, and`} does not say: give --url https://NAME`,
    );
}

export function isLoopback(host: string): boolean {
  return /^(127\.[0-9.]+|::1|localhost)$/.test(host);
}

/** Whether who listens there cannot say where it is reached. */
export function isEveryAddress(host: string): boolean {
  return ["0.0.0.0", "::", ""].includes(host);
}

/** The name or the address in a URL, an IPv6 one without its brackets. */
export function hostnameOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

/** The name or the address that others come to, by `url` where one was given. */
export function servedName({ url, host }: { url?: string | undefined; host: string }): string {
  return url === undefined ? host : hostnameOf(url);
}

function isPrivate(host: string): boolean {
  return isIP(host) !== 0 && PRIVATE.check(host, isIP(host) === 6 ? "ipv6" : "ipv4");
}

function isWithin(path: string, folder: string): boolean {
  return !/^\.\.(\/|$)/.test(relative(resolve(folder), resolve(path)));
}

/** What to run instead. */
function commands({ host, port, data, behindTlsProxy }: Exposure): string {
  const rest = `--data ${data} --keys ~/tallystick-keys`;
  const byTls = `tallyd --host ${host} --port ${port} --url https://NAME:${port} --tls-cert CERT.pem --tls-key KEY.pem ${rest}`;
  const byProxy = `tallyd --port ${port} --url https://NAME --behind-tls-proxy ${rest}`;
  const then = behindTlsProxy
    ? `\`npx ${byProxy}\``
    : `\`npx ${byTls}\`, or where a proxy on this machine ends TLS \`npx ${byProxy}\``;
  return `run \`npx tallyd keys --keys ~/tallystick-keys\`, then ${then}`;
}
