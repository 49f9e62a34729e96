import { readStored, writeStored } from "./storage.ts";
import { Store } from "./store.ts";

export const THEMES = ["system", "light", "dark"] as const;
export type ThemeChoice = (typeof THEMES)[number];

export const RENDERERS = ["auto", "dom"] as const;
export type RendererChoice = (typeof RENDERERS)[number];

/** What a person chose in this browser. Each setting is stored under a key of its own. */
export interface Settings {
  theme: ThemeChoice;
  renderer: RendererChoice;
  fontSize: number;
  scrollback: number;
  bell: boolean;
  /** Keeps a copy of the terminal's screen that a screen reader can read. */
  screenReader: boolean;
  /** After how many minutes a hidden page closes its silent shells. 0: never; null: as the server says. */
  hiddenMinutes: number | null;
}

export const FONT_SIZES = [11, 12, 13, 14, 15, 16, 18, 20] as const;
export const HIDDEN_MINUTES = [0, 1, 5, 15, 60] as const;
export const SCROLLBACKS = [1_000, 5_000, 10_000, 50_000] as const;

const KEYS: Record<keyof Settings, string> = {
  theme: "periscope.theme",
  renderer: "periscope.renderer",
  fontSize: "periscope.fontSize",
  scrollback: "periscope.scrollback",
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
    fontSize: oneOf(FONT_SIZES, readStored(KEYS.fontSize), 13),
    scrollback: oneOf(SCROLLBACKS, readStored(KEYS.scrollback), 10_000),
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
