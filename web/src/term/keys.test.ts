import { describe, expect, it } from "vitest";
import type { Platform } from "../lib/platform.ts";
import { purposeOfKey } from "./keys.ts";

const plain = { hasSelection: false, alternateScreen: false, split: false };

function press(keys: string, on: Platform, state = plain) {
  const parts = keys.split("+");
  const key = (keys.endsWith("+") ? "+" : parts.pop()) ?? "";
  const has = (name: string) => parts.includes(name);
  return purposeOfKey(
    {
      key,
      code: CODES[key] ?? `Key${key.toUpperCase()}`,
      ctrlKey: has("Ctrl"),
      shiftKey: has("Shift"),
      altKey: has("Alt"),
      metaKey: has("Cmd"),
    },
    on,
    state,
  );
}

const CODES: Record<string, string> = {
  "`": "Backquote",
  "{": "BracketLeft",
  "}": "BracketRight",
  "|": "Backslash",
  "~": "Backquote",
  Enter: "Enter",
  F6: "F6",
  Insert: "Insert",
};
const selected = { ...plain, hasSelection: true };
const vim = { ...plain, alternateScreen: true };
const split = { ...plain, split: true };

describe("keys in the terminal", () => {
  it.each(["mac", "linux", "windows"] as const)("types Ctrl+C on %s", (on) => {
    expect(press("Ctrl+c", on)).toBe("shell");
  });

  it("copies with Ctrl+C only on Windows, and only a selection", () => {
    expect(press("Ctrl+c", "windows", selected)).toBe("copy");
    expect(press("Ctrl+c", "linux", selected)).toBe("shell");
    expect(press("Ctrl+c", "mac", selected)).toBe("shell");
  });

  it("copies and pastes with the platform's own keys", () => {
    expect(press("Cmd+c", "mac", selected)).toBe("copy");
    expect(press("Cmd+v", "mac")).toBe("browser");
    for (const on of ["linux", "windows"] as const) {
      expect(press("Ctrl+Shift+C", on)).toBe("copy");
      expect(press("Ctrl+Shift+V", on)).toBe("browser");
      expect(press("Ctrl+Insert", on)).toBe("copy");
      expect(press("Shift+Insert", on)).toBe("browser");
    }
    expect(press("Ctrl+v", "windows")).toBe("browser");
    expect(press("Ctrl+v", "linux")).toBe("shell");
  });

  it.each([
    ["Cyrillic", { c: "с", v: "м", f: "а", k: "л" }],
    ["Greek", { c: "ψ", v: "ω", f: "φ", k: "κ" }],
    ["Hebrew", { c: "ב", v: "ה", f: "כ", k: "ל" }],
  ])("takes a %s letter for the Latin one in its place", (_, { c, v, f, k }) => {
    const typed = (keys: string, key: string, on: Platform, state = plain) => {
      const code = `Key${keys.slice(-1)}`;
      const held = (name: string) => keys.includes(name);
      const mods = { ctrlKey: held("Ctrl"), shiftKey: held("Shift"), altKey: false, metaKey: held("Cmd") };
      return purposeOfKey({ key: held("Shift") ? key.toUpperCase() : key, code, ...mods }, on, state);
    };
    expect(typed("Ctrl+C", c, "windows", selected)).toBe("copy");
    expect(typed("Ctrl+V", v, "windows")).toBe("browser");
    for (const on of ["linux", "windows"] as const) {
      expect(typed("Ctrl+Shift+C", c, on)).toBe("copy");
      expect(typed("Ctrl+Shift+V", v, on)).toBe("browser");
      expect(typed("Ctrl+F", f, on)).toBe("search");
      expect(typed("Ctrl+Shift+K", k, on)).toBe("palette");
    }
    expect(typed("Cmd+C", c, "mac", selected)).toBe("copy");
    expect(typed("Cmd+K", k, "mac")).toBe("palette");
  });

  it("takes a Latin letter for itself, wherever it stands", () => {
    const dvorak = { key: "c", code: "KeyI", ctrlKey: true, shiftKey: true, altKey: false, metaKey: false };
    expect(purposeOfKey(dvorak, "linux", plain)).toBe("copy");
    expect(purposeOfKey({ ...dvorak, key: "j", code: "KeyC" }, "linux", plain)).toBe("shell");
  });

  it("leaves Ctrl+F to full-screen programs", () => {
    expect(press("Ctrl+f", "linux")).toBe("search");
    expect(press("Ctrl+f", "linux", vim)).toBe("shell");
    expect(press("Ctrl+Shift+F", "linux", vim)).toBe("search");
    expect(press("Ctrl+f", "mac")).toBe("shell");
    expect(press("Cmd+f", "mac")).toBe("search");
  });

  it("leaves the shell what readline needs", () => {
    for (const key of ["k", "w", "a", "e", "r", "u", "d", "z", "p", "n"])
      expect(press(`Ctrl+${key}`, "linux")).toBe("shell");
    expect(press("Ctrl+Backspace", "linux")).toBe("deleteWord");
  });

  it("has a way out", () => {
    expect(press("Ctrl+F6", "mac")).toBe("leave");
    expect(press("Ctrl+`", "linux")).toBe("toggleDock");
    expect(press("Ctrl+Shift+}", "linux")).toBe("nextTab");
    expect(press("Ctrl+Shift+K", "linux")).toBe("palette");
    expect(press("Cmd+k", "mac")).toBe("palette");
  });

  it("has keys for the dock around it", () => {
    expect(press("Ctrl+Shift+~", "linux")).toBe("pickShell");
    expect(press("Ctrl+Shift+|", "mac")).toBe("split");
    expect(press("Ctrl+Shift+Enter", "windows")).toBe("fullScreen");
    expect(press("Ctrl+Shift+F6", "linux")).toBe("controls");
    expect(press("Ctrl+\\", "linux")).toBe("shell");
    expect(press("Enter", "linux")).toBe("shell");
  });

  it("goes to the other pane only where there is one", () => {
    expect(press("Ctrl+Shift+ArrowLeft", "linux", split)).toBe("otherPane");
    expect(press("Ctrl+Shift+ArrowLeft", "linux")).toBe("shell");
    expect(press("Ctrl+ArrowLeft", "linux", split)).toBe("shell");
  });

  it("sizes the font with the application's key, and leaves undo to the shell", () => {
    for (const [keys, use] of [
      ["+", "larger"],
      ["Shift++", "larger"],
      ["=", "larger"],
      ["-", "smaller"],
      ["0", "normalSize"],
    ]) {
      const withKey = (command: string) => keys?.replace(/(Shift\+)?(.)$/, `${command}+$1$2`) ?? "";
      expect(press(withKey("Ctrl"), "linux")).toBe(use);
      expect(press(withKey("Cmd"), "mac")).toBe(use);
      expect(press(withKey("Ctrl"), "mac")).toBe("shell");
    }
    expect(press("Ctrl+Shift+_", "linux")).toBe("shell");
    expect(press("Ctrl+Shift+-", "linux")).toBe("shell");
  });
});
