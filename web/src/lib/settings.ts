import { readStored, writeStored } from "./storage.ts";
import { Store } from "./store.ts";

export const THEMES = ["system", "light", "dark"] as const;
export type ThemeChoice = (typeof THEMES)[number];

export const RENDERERS = ["auto", "dom"] as const;
export type RendererChoice = (typeof RENDERERS)[number];

export const CURSORS = ["block", "bar", "underline"] as const;
export type CursorChoice = (typeof CURSORS)[number];

/** Whether a program in a shell may set the clipboard: each shell asks, or none ever may. */
export const CLIPBOARD_CHOICES = ["ask", "never"] as const;
export type ClipboardChoice = (typeof CLIPBOARD_CHOICES)[number];

/** What a person chose in this browser. Each setting is stored under a key of its own. */
export interface Settings {
  theme: ThemeChoice;
  renderer: RendererChoice;
  fontSize: number;
  cursor: CursorChoice;
  cursorBlink: boolean;
  scrollback: number;
  copyOnSelect: boolean;
  /** Asks before a paste that could run, flood or hide something. */
  pasteWarning: boolean;
  clipboard: ClipboardChoice;
  bell: boolean;
  /** Keeps a copy of the terminal's screen that a screen reader can read. */
  screenReader: boolean;
  /** After how many minutes a hidden page lets go of its silent shells. 0: never; null: as the server says. */
  hiddenMinutes: number | null;
}

export const FONT_SIZES = [10, 11, 12, 13, 14, 15, 16, 18, 20, 24] as const;
export const DEFAULT_FONT_SIZE = 13;
export const HIDDEN_MINUTES = [0, 1, 5, 15, 60] as const;
export const SCROLLBACKS = [1_000, 5_000, 10_000, 50_000] as const;

const KEYS: Record<keyof Settings, string> = {
  theme: "periscope.theme",
  renderer: "periscope.renderer",
  fontSize: "periscope.fontSize",
  cursor: "periscope.cursor",
  cursorBlink: "periscope.cursorBlink",
  scrollback: "periscope.scrollback",
  copyOnSelect: "periscope.copyOnSelect",
  pasteWarning: "periscope.pasteWarning",
  clipboard: "periscope.clipboard",
  bell: "periscope.bell",
  screenReader: "periscope.screenReader",
  hiddenMinutes: "periscope.hiddenMinutes",
};

function oneOf<T extends string | number>(allowed: readonly T[], stored: string | null, fallback: T): T {
  return allowed.find((value) => String(value) === stored) ?? fallback;
}

export function readSettings(): Settings {
  return {
    theme: oneOf(THEMES, readStored(KEYS.theme), "system"),
    renderer: oneOf(RENDERERS, readStored(KEYS.renderer), "auto"),
    fontSize: oneOf(FONT_SIZES, readStored(KEYS.fontSize), DEFAULT_FONT_SIZE),
    cursor: oneOf(CURSORS, readStored(KEYS.cursor), "block"),
    cursorBlink: readStored(KEYS.cursorBlink) !== "false",
    scrollback: oneOf(SCROLLBACKS, readStored(KEYS.scrollback), 10_000),
    copyOnSelect: readStored(KEYS.copyOnSelect) === "true",
    pasteWarning: readStored(KEYS.pasteWarning) !== "false",
    clipboard: oneOf(CLIPBOARD_CHOICES, readStored(KEYS.clipboard), "ask"),
    bell: readStored(KEYS.bell) !== "false",
    screenReader: readStored(KEYS.screenReader) === "true",
    hiddenMinutes: HIDDEN_MINUTES.find((minutes) => String(minutes) === readStored(KEYS.hiddenMinutes)) ?? null,
  };
}

export const settings = new Store<Settings>(readSettings());

export function changeSettings(change: Partial<Settings>): void {
  const next = { ...settings.get(), ...change };
  for (const key of Object.keys(change) as (keyof Settings)[]) writeStored(KEYS[key], String(next[key]));
  settings.set(next);
}

/** The terminal's letters one step larger or smaller, or as they were at first. */
export function stepFont(step: 1 | -1 | 0): void {
  const at = (FONT_SIZES as readonly number[]).indexOf(settings.get().fontSize);
  const next = step === 0 ? DEFAULT_FONT_SIZE : FONT_SIZES[at + step];
  if (next !== undefined) changeSettings({ fontSize: next });
}
