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

/** Calls what stands by the name of an event, until it is stopped. */
function listen(listeners: Record<string, (event: Event) => void>): () => void {
  const all = Object.entries(listeners);
  const where = (name: string) => (name === "visibilitychange" ? document : window);
  for (const [name, call] of all) where(name).addEventListener(name, call);
  return () => {
    for (const [name, call] of all) where(name).removeEventListener(name, call);
  };
}

/**
 * Warns before the page is left where shells would be lost by it; has the others asked for when the network goes, and
 * tried again when it returns or somebody looks.
 */
export function watchPage(): () => void {
  const seen = () => {
    if (!document.hidden) for (const shell of liveShells()) shell.seen();
  };
  // The dock was away while somebody signed in again.
  seen();
  return listen({
    beforeunload: (event) => {
      if (!liveShells().every(canComeBack)) event.preventDefault();
    },
    online: () => {
      for (const shell of liveShells()) shell.networkChanged();
    },
    offline: () => {
      for (const shell of liveShells()) shell.networkGone();
    },
    pageshow: seen,
    visibilitychange: seen,
  });
}

/** The same for files that are on their way: a page that is left cannot go on reading or writing them. */
export function watchTransfers(): () => void {
  return listen({
    beforeunload: (event) => {
      if (underWay().length > 0) event.preventDefault();
    },
    pagehide: () => {
      for (const transfer of underWay()) transfer.cancel();
    },
    online: () => {
      for (const transfer of underWay()) transfer.networkChanged();
    },
    offline: () => {
      for (const transfer of underWay()) transfer.networkGone();
    },
    visibilitychange: () => {
      if (!document.hidden) for (const transfer of underWay()) transfer.seen();
    },
  });
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
  const stopListening = listen({ visibilitychange: changed });
  return () => {
    stopListening();
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
