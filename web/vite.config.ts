import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `PERISCOPE_SERVER=http://127.0.0.1:8080 npm run dev` serves this folder in front of a running server.
const server = process.env.PERISCOPE_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2023",
    // dist/.gitkeep is part of the repository (the server embeds the folder), so the build
    // script empties assets/ itself.
    emptyOutDir: false,
    // Everything stays a file of its own: `font-src 'self'` refuses data: fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
  // The server answers only under its own Host and to its own Origin.
  server: { proxy: { "/api": { target: server, changeOrigin: true, ws: true, headers: { origin: server } } } },
  test: {
    environment: "jsdom",
    // A context of its own for each file; a process of its own took four times the time.
    pool: "vmThreads",
    testTimeout: 30_000,
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test-setup.ts"],
  },
});
