/** The recipes for nodes that attest, held to the program and to themselves as far as that goes without the hardware. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { encodeNoteKey } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { parseNodeOptions } from "../packages/server/src/node-options.ts";
import { fixedNoteSigner } from "./fixed-keys.ts";
import { temporaryFolder } from "./folder.ts";
import { encodeItem } from "./hardware-evidence.ts";

const deploy = join(import.meta.dirname, "..", "deploy");
const read = (path: string) => readFileSync(join(deploy, path), "utf8").replaceAll(/\\\n\s*/g, "");
const UNIT = "tdx/mkosi.extra/usr/lib/systemd/system/tallyd-node.service";
const SCRIPTS = ["nitro/start.sh", "nitro/parent.sh", "tdx/mkosi.extra/usr/lib/tallystick/certificate.sh"];

/** The arguments behind `tallyd.js node`, with each variable as one that could be. */
function argumentsIn(line: string): string[] {
  const values: Record<string, string> = {
    GATEWAY: "https://tallystick.example:8787",
    LOG_KEY: encodeNoteKey(fixedNoteSigner("tallystick.example/log").key),
    URL: "https://node1.example:8789",
    CREDENTIALS_DIRECTORY: "/run/credentials/tallyd-node.service",
  };
  const words = line
    .slice(line.indexOf("tallyd.js node ") + "tallyd.js node ".length)
    .trim()
    .split(/\s+/);
  return words.map((word) =>
    word.replace(/^"(.*)"$/, "$1").replace(/\$\{?([A-Z_]+)\}?/g, (_, name: string) => values[name] ?? `no ${name}`),
  );
}

test.each([
  ["nitro/start.sh", { kind: "command", path: "/usr/local/bin/nsm-attest" }],
  [UNIT, { kind: "tsm", collateralPath: "/run/credentials/tallyd-node.service/collateral.json" }],
])("%s starts a node with options that it takes together, TLS ended by itself", (path, attest) => {
  const line =
    read(path)
      .split("\n")
      .find((one) => one.includes("tallyd.js node ")) ?? "";
  const command = parseNodeOptions(argumentsIn(line));
  expect(command).toMatchObject({ attest, url: "https://node1.example:8789", port: 8789 });
  expect(command).toMatchObject({ tls: { certPath: "cert.pem", keyPath: "tls.pem" } });
});

test("what is to be measured is in the images: gateway, log and address; and no key or token is", () => {
  const image = read("nitro/Containerfile");
  for (const name of ["GATEWAY", "LOG_KEY", "URL"]) {
    expect(image).toContain(`ARG ${name}\n`);
    expect(readFileSync(join(deploy, "tdx/mkosi.extra/etc/tallystick/node.env"), "utf8")).toContain(`${name}=`);
  }
  expect(image).not.toMatch(/COPY.*(pem|token)/);
  for (const [, source = ""] of image.matchAll(/^COPY (?:--chmod=\d+ )?([^-]\S+) /gm))
    expect(existsSync(join(deploy, "nitro", source)), source).toBe(true);
});

test.each(SCRIPTS)("%s is a script that a shell reads, and that may be run", (path) => {
  const place = join(deploy, path);
  execFileSync("sh", ["-n", place]);
  expect(statSync(place).mode & 0o111).not.toBe(0);
  expect(readFileSync(place, "utf8")).toMatch(/^#!\/bin\/sh\n(#.*\n)*set -eu\n/);
});

/** Stands in for the kernel: what was asked comes back as the document, 300 bytes of it. */
const SHIM = `
  #define _GNU_SOURCE
  #include <dlfcn.h>
  #include <stdint.h>
  #include <string.h>
  #include <fcntl.h>
  int open(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    return real(strcmp(path, "/dev/nsm") == 0 ? "/dev/null" : path, flags);
  }
  int ioctl(int fd, unsigned long number, ...) {
    __builtin_va_list list;
    __builtin_va_start(list, number);
    uint64_t *raw = __builtin_va_arg(list, uint64_t *);
    uint8_t *response = (uint8_t *)(uintptr_t)raw[2];
    if (number != 0xc0200a00 || raw[3] != 0x3000) return -1;
    memcpy(response, "\\xa1\\x6b" "Attestation" "\\xa1\\x68" "document" "\\x59\\x01\\x2c", 26);
    memset(response + 26, 0, 300);
    memcpy(response + 26, (void *)(uintptr_t)raw[0], raw[1]);
    raw[3] = 326;
    return 0;
  }
`;

test("nsm-attest compiles without a warning, asks the module in its own words, refuses what is no report data, and says where it belongs", async (context) => {
  await using place = await temporaryFolder();
  const program = join(place.path, "nsm-attest");
  const flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program, join(deploy, "nitro/nsm-attest.c")];
  const compiled = spawnSync("cc", flags, { encoding: "utf8" });
  if (compiled.error !== undefined) return context.skip("no C compiler is here");
  expect([compiled.status, compiled.stderr]).toEqual([0, ""]);
  for (const args of [[], ["zz"], ["0"], ["AB"], ["00".repeat(65)], ["00", "00"]])
    expect(spawnSync(program, args).status, args.join(" ")).toBe(2);
  const shim = join(place.path, "shim.so");
  execFileSync("cc", ["-shared", "-fPIC", "-o", shim, "-x", "c", "-"], { input: SHIM });
  const answered = spawnSync(program, ["ab".repeat(32)], { encoding: "utf8", env: { LD_PRELOAD: shim } });
  const { technology, evidence, collateral } = JSON.parse(answered.stdout);
  expect([technology, collateral]).toEqual(["nitro", []]);
  const asked = new Map([
    ["user_data", new Uint8Array(32).fill(0xab)],
    ["nonce", null],
    ["public_key", null],
  ]);
  const request = encodeItem(new Map([["Attestation", asked]]));
  expect(Buffer.from(evidence, "base64")).toEqual(Buffer.concat([request, Buffer.alloc(300 - request.length)]));
  const outside = spawnSync(program, ["00".repeat(64)], { encoding: "utf8" });
  if (!existsSync("/dev/nsm")) expect(outside).toMatchObject({ status: 1, stdout: "" });
});
