import { defineConfig } from "vitest/config";

// One browser, one server, one test after the other: they share two cores. Nor is Playwright loaded anew for each file.
export default defineConfig({
  test: {
    include: ["*.test.ts"],
    fileParallelism: false,
    isolate: false,
    testTimeout: 90_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000, interval: 100 } },
  },
});
