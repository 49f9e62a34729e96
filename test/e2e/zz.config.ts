import { defineConfig } from "vitest/config";
export default defineConfig({ test: { include: ["*.test.ts"], exclude:["gallery*","picture*"], setupFiles:["/tmp/scratch-speed/cpusetup.ts"], fileParallelism:false, testTimeout:90000, hookTimeout:60000 }, server:{fs:{strict:false}} });
