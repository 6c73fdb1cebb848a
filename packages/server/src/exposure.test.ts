import { expect, test } from "vitest";
import { type Exposure, requireSafeExposure } from "./exposure.ts";

const LOCAL: Exposure = {
  host: "127.0.0.1",
  port: 8787,
  data: ".tallystick",
  keys: undefined,
  tls: undefined,
  behindTlsProxy: false,
  url: undefined,
};
const tls = { certPath: "cert.pem", keyPath: "key.pem" };
const url = "https://tallystick.example";
const keys = "/etc/tallystick/keys";

test.each<Partial<Exposure>>([
  {},
  { host: "::1" },
  { host: "localhost", tls },
  { url: "http://localhost:8787" },
  { host: "192.0.2.1", tls, keys },
  { host: "0.0.0.0", tls, keys, url },
  { host: "tallystick.example", tls, keys },
  { behindTlsProxy: true, keys, url },
  { behindTlsProxy: true, keys: ".tallystick-keys", url },
  ...["10.1.2.3", "172.31.0.1", "192.168.1.2", "fd00::1"].map((host) => ({ host, behindTlsProxy: true, keys, url })),
])("%j may be served", (given) => {
  expect(() => requireSafeExposure({ ...LOCAL, ...given })).not.toThrow();
});

test.each(["0.0.0.0", "192.168.1.2", "::", "", "example.org", "127.0.0.1.example.org", "localhost.example.org"])(
  "the host %s is not served in clear, whatever the keys, and the commands to run instead are named",
  (host) => {
    const refused = () => requireSafeExposure({ ...LOCAL, host, keys });
    expect(refused).toThrow(/is no loopback address.*`npx tallyd keys --keys ~\/tallystick-keys`/);
    expect(refused).toThrow(`\`npx tallyd --host ${host} --port 8787 --url https://NAME:8787 --tls-cert CERT.pem`);
    expect(refused).toThrow("`npx tallyd --port 8787 --url https://NAME --behind-tls-proxy --data .tallystick");
  },
);

test.each<[Partial<Exposure>, RegExp]>([
  [{ host: "0.0.0.0", tls, url }, /keys that were made for it/],
  [{ behindTlsProxy: true, url }, /keys that were made for it/],
  [{ host: "0.0.0.0", tls, url, keys: ".tallystick/keys" }, /lies in the data folder/],
  [{ host: "0.0.0.0", tls, url, keys: ".tallystick" }, /lies in the data folder/],
  [{ host: "0.0.0.0", tls, keys }, /is every address.*--url/],
  [{ behindTlsProxy: true, keys }, /The proxy does not say: give --url/],
  [{ tls, behindTlsProxy: true, keys, url }, /TLS ends in one place/],
  [{ tls, url: "http://localhost:8787" }, /is not https/],
  [{ behindTlsProxy: true, keys, url: "http://tallystick.example" }, /is not https/],
  [{ url }, /needs --tls-cert and --tls-key, or --behind-tls-proxy/],
  ...["0.0.0.0", "::", "", "192.0.2.1", "172.32.0.1", "2001:db8::1", "proxy.internal"].map(
    (host): [Partial<Exposure>, RegExp] => [
      { host, behindTlsProxy: true, keys, url },
      /would serve plain HTTP beside the proxy/,
    ],
  ),
])("%j is refused", (given, words) => {
  expect(() => requireSafeExposure({ ...LOCAL, ...given })).toThrow(words);
});
