import { defineConfig } from "vitest/config";

/** What takes minutes and gigabytes: run by `npm run test:slow`, never with the others. */
const conditions = ["@tallystick/source", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["test/slow/**/*.slow.ts"],
    reporters: ["default"],
    maxWorkers: 1,
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
  },
});
