import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// A bound on what is waited for, for a machine that runs other tests beside these.
configure({ asyncUtilTimeout: 10_000 });

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
