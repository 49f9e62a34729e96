import { expect, it } from "vitest";
import { isPaletteKey } from "./keys.ts";

const press = (key: string, more: KeyboardEventInit = {}) =>
  isPaletteKey(new KeyboardEvent("keydown", { key, code: "KeyK", ctrlKey: true, ...more }));

it.each(["k", "K", "л", "κ", "ל"])("opens the palette by Ctrl and %s", (key) => {
  expect(press(key)).toBe(true);
});

it("takes no other key for it", () => {
  expect(press("t")).toBe(false);
  expect(press("л", { code: "KeyG" })).toBe(false);
  expect(press("л", { shiftKey: true })).toBe(false);
  expect(press("л", { ctrlKey: false })).toBe(false);
});
