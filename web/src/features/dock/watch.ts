import { Silence } from "./hidden.ts";
import { loadTerminal, type Shell } from "./shell.ts";
import { dock, liveShells } from "./store.ts";

const CHECK_MS = 15_000;
/** Long enough for the first page to have fetched what it shows. */
const QUIET_MS = 3_000;

/** Fetches the terminal's code once the page is at rest, so that the first shell opens at once too. */
export function preloadTerminal(): () => void {
  const timer = setTimeout(() => void loadTerminal().catch(() => undefined), QUIET_MS);
  return () => clearTimeout(timer);
}

/** Warns before the page is left while shells run, and asks their servers for a sign of life when the network returns. */
export function watchPage(): () => void {
  const beforeUnload = (event: BeforeUnloadEvent) => {
    if (liveShells().length > 0) event.preventDefault();
  };
  const online = () => {
    for (const shell of liveShells()) shell.probe();
  };
  window.addEventListener("beforeunload", beforeUnload);
  window.addEventListener("online", online);
  return () => {
    window.removeEventListener("beforeunload", beforeUnload);
    window.removeEventListener("online", online);
  };
}

/** Ends shells in which nothing happened for `seconds` while the page was hidden. 0: never. */
export function watchHidden(seconds: number): () => void {
  if (seconds <= 0) return () => {};
  let stop = () => {};
  const changed = () => {
    stop();
    stop = document.hidden ? endSilent(seconds) : () => {};
  };
  changed();
  document.addEventListener("visibilitychange", changed);
  return () => {
    document.removeEventListener("visibilitychange", changed);
    stop();
  };
}

function endSilent(seconds: number): () => void {
  const silence = new Silence<Shell>(seconds * 1000, Date.now());
  const timer = setInterval(() => {
    for (const shell of silence.look(liveShells(), Date.now())) shell.endHidden(seconds);
  }, CHECK_MS);
  return () => clearInterval(timer);
}

/** Ends every shell and empties the dock, as on signing out. */
export function endAllShells(): void {
  const { shells } = dock.get();
  dock.update((state) => ({ ...state, shells: [], activeId: "", closing: null, capped: null, layout: "panel" }));
  for (const shell of shells) shell.dispose();
}
