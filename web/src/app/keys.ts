import { letterOf } from "../lib/chords.ts";
import { hasCommandKey } from "../lib/platform.ts";

/** Ctrl+K or Cmd+K; in a terminal Ctrl+K is the shell's, and the terminal passes its own key on. */
export function isPaletteKey(event: KeyboardEvent): boolean {
  if (letterOf(event) !== "k" || !hasCommandKey(event) || event.shiftKey || event.altKey) return false;
  return !(event.ctrlKey && event.target instanceof Element && event.target.closest(".xterm"));
}
