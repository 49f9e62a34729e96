import { Silence } from "./hidden.ts";
import { canComeBack } from "./restore.ts";
import { loadTerminal, type Shell } from "./shell.ts";
import { liveShells } from "./store.ts";
import { underWay } from "./transfers.ts";

const CHECK_MS = 15_000;
/** Long enough for the first page to have fetched what it shows. */
const QUIET_MS = 3_000;

/** Fetches the terminal's code once the page is at rest, so that the first shell opens at once too. */
export function preloadTerminal(): () => void {
  const timer = setTimeout(() => void loadTerminal().catch(() => undefined), QUIET_MS);
  return () => clearTimeout(timer);
}

/**
 * Warns before the page is left where shells would be lost by it; has the others tried again when the network returns or
 * somebody looks.
 */
export function watchPage(): () => void {
  const beforeUnload = (event: BeforeUnloadEvent) => {
    if (!liveShells().every(canComeBack)) event.preventDefault();
  };
  const online = () => {
    for (const shell of liveShells()) shell.networkChanged();
  };
  const seen = () => {
    if (!document.hidden) for (const shell of liveShells()) shell.seen();
  };
  window.addEventListener("beforeunload", beforeUnload);
  window.addEventListener("online", online);
  window.addEventListener("pageshow", seen);
  document.addEventListener("visibilitychange", seen);
  // The dock was away while somebody signed in again.
  seen();
  return () => {
    window.removeEventListener("beforeunload", beforeUnload);
    window.removeEventListener("online", online);
    window.removeEventListener("pageshow", seen);
    document.removeEventListener("visibilitychange", seen);
  };
}

/** The same for files that are on their way: a page that is left cannot go on reading or writing them. */
export function watchTransfers(): () => void {
  const beforeUnload = (event: BeforeUnloadEvent) => {
    if (underWay().length > 0) event.preventDefault();
  };
  const left = () => {
    for (const transfer of underWay()) transfer.cancel();
  };
  const online = () => {
    for (const transfer of underWay()) transfer.networkChanged();
  };
  const seen = () => {
    if (!document.hidden) for (const transfer of underWay()) transfer.seen();
  };
  window.addEventListener("beforeunload", beforeUnload);
  window.addEventListener("pagehide", left);
  window.addEventListener("online", online);
  document.addEventListener("visibilitychange", seen);
  return () => {
    window.removeEventListener("beforeunload", beforeUnload);
    window.removeEventListener("pagehide", left);
    window.removeEventListener("online", online);
    document.removeEventListener("visibilitychange", seen);
  };
}

/** Lets go of shells in which nothing happened for `seconds` while the page was hidden. 0: never. */
export function watchHidden(seconds: number): () => void {
  if (seconds <= 0) return () => {};
  let stop = () => {};
  const changed = () => {
    stop();
    stop = document.hidden ? letGoOfSilent(seconds) : () => {};
  };
  changed();
  document.addEventListener("visibilitychange", changed);
  return () => {
    document.removeEventListener("visibilitychange", changed);
    stop();
  };
}

function letGoOfSilent(seconds: number): () => void {
  const silence = new Silence<Shell>(seconds * 1000, Date.now());
  const timer = setInterval(() => {
    const here = liveShells().filter((shell) => shell.here);
    for (const shell of silence.look(here, Date.now())) shell.letGo(seconds);
  }, CHECK_MS);
  return () => clearInterval(timer);
}
