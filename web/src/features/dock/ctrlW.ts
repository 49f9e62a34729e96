import { readStored, writeStored } from "../../lib/storage.ts";
import { Store } from "../../lib/store.ts";
import { liveShells } from "./store.ts";

const TOLD_KEY = "periscope.ctrlWTold";

/** Whether the page explains why Ctrl+W asked to leave it. */
export const ctrlWHint = new Store(false);

/**
 * No page can keep Ctrl+W from closing its tab; the browser only asks before. Whoever stays after that question, with
 * the keyboard in a terminal, is told once what to press instead.
 */
export function watchCtrlW(): () => void {
  const asked = () => {
    const typing = document.activeElement?.closest(".xterm") !== null && document.activeElement !== document.body;
    if (!typing || liveShells().length === 0 || readStored(TOLD_KEY) !== null) return;
    // Runs only where the page goes on.
    setTimeout(() => ctrlWHint.set(true));
  };
  window.addEventListener("beforeunload", asked);
  return () => window.removeEventListener("beforeunload", asked);
}

export function endCtrlWHint(): void {
  ctrlWHint.set(false);
  writeStored(TOLD_KEY, "true");
}
