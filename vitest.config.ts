import { defineConfig } from "vitest/config";
import { CountReporter } from "./test/count-reporter.ts";

/** Tests run the source of every package; only workers and commands come from `dist`, which test/build.ts makes. */
const conditions = ["@tallystick/source", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      "packages/*/{src,test}/**/*.test.ts",
      "models/**/*.test.ts",
      "contracts/**/*.test.ts",
      "test/**/*.test.ts",
    ],
    globalSetup: ["test/build.ts"],
    reporters: ["default", new CountReporter()],
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
