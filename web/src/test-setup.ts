import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

// What the parts ask for and jsdom lacks.
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};

afterEach(cleanup);
