import { settings } from "./settings.ts";

/** The terminal's letters. Resolves once they are there; undefined where the browser cannot say. */
export function loadTerminalFont(): Promise<unknown> | undefined {
  return document.fonts?.load(`${settings.get().fontSize}px "JetBrains Mono"`).catch(() => undefined);
}
