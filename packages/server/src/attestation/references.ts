/** Reference measurements: the operator has the network's publisher approve what a release measures, or withdraw that. */
import { hex, parseHex, type Signer, signEntry } from "@tallystick/protocol";
import { Hono } from "hono";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";
import { readJson } from "../platform/http.ts";

export type ReferenceRoutes = {
  publisher: Signer;
  isAdmin(header: string | undefined): boolean;
  /** Appends an entry and resolves once the fold has it. */
  publish(entry: Uint8Array): Promise<number>;
};

const Reference = z.strictObject({
  action: z.enum(["approve", "withdraw"]),
  // Simulated evidence never counts, so that nothing of it is to be approved.
  technology: z.enum(["nitro", "tdx", "snp", "hopper"]),
  measurement: z.string().regex(/^[0-9a-f]{64}$/),
  release: z.string().regex(/^[0-9A-Za-z.+-]{1,64}$/),
});

export function referenceRoutes({ publisher, isAdmin, publish }: ReferenceRoutes): Hono {
  const app = new Hono();
  app.post("/v1/references", async (c) => {
    if (!isAdmin(c.req.header("authorization")))
      throw new ServiceError(
        "forbidden",
        "only the operator approves measurements: send the token in keys/admin-token",
      );
    const parsed = Reference.safeParse(await readJson(c, 1_024));
    if (!parsed.success)
      throw new ServiceError(
        "invalid_request",
        `a reference is {action, technology, measurement, release}: ${z.prettifyError(parsed.error)}`,
      );
    const { action, technology, release } = parsed.data;
    const measurement = parseHex(parsed.data.measurement) ?? new Uint8Array(0);
    const says = { version: 1, action, technology, measurement, release } as const;
    const index = await publish((await signEntry(publisher, "reference", says)).signed.bytes);
    return c.json({ action, technology, measurement: hex(measurement), release, index }, 201);
  });
  return app;
}
