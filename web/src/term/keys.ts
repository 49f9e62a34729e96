import type { Platform } from "../lib/platform.ts";

/** What a key pressed in the terminal is for. `shell`: it is typed; `browser`: the page leaves it to the browser (paste). */
export type KeyUse =
  | "shell"
  | "copy"
  | "browser"
  | "search"
  | "deleteWord"
  | "leave"
  | "palette"
  | "nextTab"
  | "previousTab"
  | "toggleDock";

export interface KeyPress {
  key: string;
  code: string;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

export interface TerminalState {
  hasSelection: boolean;
  /** A full-screen program (vim, less) is showing. */
  alternateScreen: boolean;
}

/**
 * Each platform's own keys. Ctrl+C always reaches the shell, except on Windows while text is
 * selected, where every terminal copies. Ctrl+F searches, except in full-screen programs, which
 * need it; Ctrl+Shift+F always searches.
 */
export function purposeOfKey(press: KeyPress, on: Platform, state: TerminalState): KeyUse {
  return commonKey(press) ?? (on === "mac" ? macKey(press, state) : pcKey(press, on, state)) ?? "shell";
}

function modifiers(press: KeyPress): string {
  return (
    (press.ctrlKey ? "C" : "") + (press.shiftKey ? "S" : "") + (press.altKey ? "A" : "") + (press.metaKey ? "M" : "")
  );
}

function commonKey(press: KeyPress): KeyUse | null {
  const mods = modifiers(press);
  if (mods === "C" && press.code === "F6") return "leave";
  if (mods === "C" && press.code === "Backquote") return "toggleDock";
  if (mods === "C" && press.key === "Backspace") return "deleteWord";
  if (mods === "CS" && press.code === "BracketRight") return "nextTab";
  if (mods === "CS" && press.code === "BracketLeft") return "previousTab";
  return null;
}

function macKey(press: KeyPress, state: TerminalState): KeyUse | null {
  if (modifiers(press) !== "M") return null;
  switch (press.key.toLowerCase()) {
    case "c":
      return state.hasSelection ? "copy" : "browser";
    case "f":
      return "search";
    case "k":
      return "palette";
    default:
      return "browser";
  }
}

function pcKey(press: KeyPress, on: Platform, state: TerminalState): KeyUse | null {
  const mods = modifiers(press);
  const key = press.key.toLowerCase();
  if (mods === "CS") return pcShifted[key] ?? null;
  if (mods === "S" && key === "insert") return "browser";
  if (mods !== "C") return null;
  if (key === "insert") return "copy";
  if (key === "f") return state.alternateScreen ? null : "search";
  if (on !== "windows") return null;
  if (key === "c" && state.hasSelection) return "copy";
  return key === "v" ? "browser" : null;
}

const pcShifted: Record<string, KeyUse> = { c: "copy", v: "browser", f: "search", k: "palette" };
