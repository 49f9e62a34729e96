import { describe, expect, it } from "vitest";
import type { Platform } from "../lib/platform.ts";
import { purposeOfKey } from "./keys.ts";

function press(keys: string, on: Platform, state = { hasSelection: false, alternateScreen: false }) {
  const parts = keys.split("+");
  const key = parts.pop() ?? "";
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
  F6: "F6",
  Insert: "Insert",
};
const selected = { hasSelection: true, alternateScreen: false };
const vim = { hasSelection: false, alternateScreen: true };

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
});
