import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

// What the parts ask for and jsdom lacks.
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};

window.matchMedia ??= (query) =>
  Object.assign(new EventTarget(), {
    matches: false,
    media: query,
    onchange: null,
    addListener() {},
    removeListener() {},
  });

Element.prototype.scrollIntoView ??= () => {};

afterEach(cleanup);
