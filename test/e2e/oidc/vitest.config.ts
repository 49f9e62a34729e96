import { defineConfig } from "vitest/config";

// For a demo with a login provider: bin/demo --oidc -- npm --prefix test/e2e run test:oidc
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["*.test.ts"],
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000, interval: 100 } },
  },
});
