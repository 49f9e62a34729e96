import { type DockUse, dockUse, letterOf, modifiers } from "../lib/chords.ts";
import type { Platform } from "../lib/platform.ts";

/** What a key pressed in the terminal is for. `shell`: it is typed; `browser`: the page leaves it to the browser (paste). */
export type KeyUse =
  | "shell"
  | "copy"
  | "browser"
  | "search"
  | "deleteWord"
  | "larger"
  | "smaller"
  | "normalSize"
  | "leave"
  | "controls"
  | "otherPane"
  | "palette"
  | DockUse;

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
  /** Two shells show side by side. */
  split: boolean;
}

/**
 * Each platform's own keys. Ctrl+C always reaches the shell, except on Windows while text is
 * selected, where every terminal copies. Ctrl+F searches, except in full-screen programs, which
 * need it; Ctrl+Shift+F always searches.
 */
export function purposeOfKey(press: KeyPress, on: Platform, state: TerminalState): KeyUse {
  return (
    dockUse(press) ??
    commonKey(press, state) ??
    (on === "mac" ? macKey(press, state) : pcKey(press, on, state)) ??
    "shell"
  );
}

function commonKey(press: KeyPress, { split }: TerminalState): KeyUse | null {
  const mods = modifiers(press);
  if (mods === "C" && press.code === "F6") return "leave";
  if (mods === "CS" && press.code === "F6") return "controls";
  if (mods === "C" && press.key === "Backspace") return "deleteWord";
  // Without a split these are the program's own.
  if (split && mods === "CS" && (press.key === "ArrowLeft" || press.key === "ArrowRight")) return "otherPane";
  return null;
}

/** The font's size by the application's key and +, - or 0. Control, Shift and - stay the shell's: they undo. */
function sizeKey(press: KeyPress, command: "C" | "M"): KeyUse | null {
  const mods = modifiers(press);
  if (press.key === "+" && (mods === command || mods.replace("S", "") === command)) return "larger";
  if (mods !== command) return null;
  return SIZES[press.key] ?? null;
}

const SIZES: Record<string, KeyUse> = { "=": "larger", "-": "smaller", "0": "normalSize" };

function macKey(press: KeyPress, state: TerminalState): KeyUse | null {
  const size = sizeKey(press, "M");
  if (size) return size;
  if (modifiers(press) !== "M") return null;
  switch (letterOf(press)) {
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
  const key = letterOf(press);
  const size = sizeKey(press, "C");
  if (size) return size;
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
