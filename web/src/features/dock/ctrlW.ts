import { platform } from "../../lib/platform.ts";
import { readStored, writeStored } from "../../lib/storage.ts";
import { Store } from "../../lib/store.ts";
import { liveShells } from "./store.ts";

const TOLD_KEY = "periscope.ctrlWTold";
const COMMAND = platform === "mac" ? "Meta" : "Control";

/** Whether the page explains why Ctrl+W asked to leave it. */
export const ctrlWHint = new Store(false);

/**
 * No page can keep Ctrl+W from closing its tab, nor is it told of the key; it only sees that Ctrl was pressed, nothing
 * after it, and that it is to go. Where that happens while one types in a terminal, the word that was to be deleted
 * would be the whole page: the browser asks. Whoever stays is told, once, what to press instead.
 */
export function watchCtrlW(): () => void {
  let heldAlone = false;
  const down = (event: KeyboardEvent) => {
    heldAlone = event.key === COMMAND;
  };
  const released = () => {
    heldAlone = false;
  };
  const leaving = (event: BeforeUnloadEvent) => {
    if (!heldAlone || !isTyping() || liveShells().length === 0) return;
    event.preventDefault();
    // Runs only where the page goes on.
    setTimeout(() => {
      released();
      if (readStored(TOLD_KEY) === null) ctrlWHint.set(true);
    });
  };
  window.addEventListener("keydown", down, { capture: true });
  window.addEventListener("keyup", released, { capture: true });
  window.addEventListener("blur", released);
  window.addEventListener("beforeunload", leaving);
  return () => {
    window.removeEventListener("keydown", down, { capture: true });
    window.removeEventListener("keyup", released, { capture: true });
    window.removeEventListener("blur", released);
    window.removeEventListener("beforeunload", leaving);
  };
}

function isTyping(): boolean {
  return (document.activeElement?.closest(".xterm") ?? null) !== null;
}

export function endCtrlWHint(): void {
  ctrlWHint.set(false);
  writeStored(TOLD_KEY, "true");
}
