import type { ExecSession } from "../../api/types.ts";
import { loadTerminalFont } from "../../lib/terminalFont.ts";
import { abandonParting } from "../../stream/exec.ts";
import { anythingKept, forgetDock, type KeptDock, keepDock, keepScreens, keptDock, keptScreen } from "./keep.ts";
import { asked } from "./request.ts";
import { loadTerminal, type Shell } from "./shell.ts";
import { type DockLayout, dock, newShell, selectShell, show } from "./store.ts";
import { endAllTransfers, unqueueAll } from "./transfers.ts";

/** Whose shells these are; empty while nobody is signed in. */
let owner = "";
/** Whether what was last to be kept was kept. */
let kept = true;

/**
 * Brings back what this tab had open before it was loaded anew, where the same person has signed in, and keeps from
 * now on what is open. Returns the function that ends the keeping.
 */
export function keepShells(who: string): () => void {
  // Shells of somebody who was signed in before are none of this person's. A copy may be what the page was kept for, but
  // one that waits would go on with this person's login.
  if (owner !== "" && owner !== who) {
    emptyDock();
    unqueueAll();
  }
  owner = who;
  if (dock.get().shells.length === 0) restore(keptDock(who));
  return watchShells();
}

/** Fetches the terminal's code and font beside the first answers, where there are shells to come back to. */
export function preloadKept(): void {
  if (!anythingKept()) return;
  void loadTerminal().catch(() => undefined);
  void loadTerminalFont();
}

/** Whether the page may be left without losing this shell. */
export function canComeBack(shell: Shell): boolean {
  return kept && shell.keep() !== null && shell.unsent === 0;
}

/** Takes one's own shell over, from wherever it is; shows it where it is here already. */
export function openHere(
  session: Pick<ExecSession, "sessionId" | "cluster" | "namespace" | "pod" | "container" | "reason">,
): void {
  const { sessionId, cluster, namespace, pod, container, reason } = session;
  const here = dock.get().shells.find((shell) => shell.sessionId === sessionId && shell.state.get().phase !== "ended");
  if (here) {
    selectShell(here.id);
    here.takeBack();
  } else show(newShell({ cluster, namespace, pod, container, reason }, { back: { kind: "takeOver", sessionId } }));
}

/** Ends every shell and every transfer, empties the dock and forgets what was kept of it, as on signing out. */
export function endAllShells(): void {
  emptyDock();
  endAllTransfers();
}

function emptyDock(): void {
  const { shells } = dock.get();
  dock.update((state) => ({
    ...state,
    shells: [],
    activeId: "",
    panes: null,
    closing: null,
    capped: null,
    layout: "panel",
  }));
  asked.set(null);
  for (const shell of shells) shell.abandon();
  abandonParting();
  forgetDock();
}

function restore(found: KeptDock | null): void {
  if (!found || found.shells.length === 0) return;
  const { leftAt, active, panes } = found;
  const shells = found.shells.map((shell) => {
    const { target, sessionId, name, number } = shell;
    const back = { kind: "kept", shell, screen: keptScreen(sessionId), leftAt } as const;
    return newShell(target, { back, name, number });
  });
  const idOf = (index: number) => shells[index]?.id ?? "";
  const layout = LAYOUTS.find((name) => name === found.layout) ?? "panel";
  const sides: [string, string] | null = panes && [idOf(panes[0]), idOf(panes[1])];
  const whole = sides?.every((id) => id !== "") && sides[0] !== sides[1] && panes?.includes(active);
  dock.update((state) => ({
    ...state,
    shells,
    layout,
    activeId: idOf(active) || idOf(0),
    panes: whole ? sides : null,
  }));
  for (const shell of shells) shell.wake();
}

const LAYOUTS: readonly DockLayout[] = ["panel", "full", "minimised"];

/** The keys are kept as soon as they change, the screens when the page goes out of sight. */
function watchShells(): () => void {
  let stops: (() => void)[] = [];
  const follow = () => {
    for (const stop of stops) stop();
    stops = dock.get().shells.flatMap((shell) => [shell.state.watch(keepNow), shell.clipboard.state.watch(keepNow)]);
    keepNow();
  };
  const hidden = () => {
    if (document.hidden) keepAll();
  };
  const stopDock = dock.watch(follow);
  follow();
  window.addEventListener("pagehide", keepAll);
  document.addEventListener("visibilitychange", hidden);
  return () => {
    stopDock();
    for (const stop of stops) stop();
    window.removeEventListener("pagehide", keepAll);
    document.removeEventListener("visibilitychange", hidden);
  };
}

let last = "";

function keepNow(leftAt = 0): void {
  const now = { ...toKeep(), leftAt };
  const text = JSON.stringify(now);
  if (text === last && kept) return;
  last = text;
  kept = keepDock(owner, now);
}

function toKeep(): Omit<KeptDock, "leftAt"> {
  const { shells, activeId, panes, layout } = dock.get();
  const all = shells.flatMap((shell) => {
    const keep = shell.keep();
    return keep ? [{ shell, keep }] : [];
  });
  const at = (id: string) => all.findIndex(({ shell }) => shell.id === id);
  const sides: [number, number] | null = panes && [at(panes[0]), at(panes[1])];
  return {
    shells: all.map(({ keep }) => keep),
    active: Math.max(0, at(activeId)),
    panes: sides?.every((index) => index >= 0) ? sides : null,
    layout,
  };
}

function keepAll(): void {
  keepNow(Date.now());
  const { shells, activeId } = dock.get();
  const newestFirst = shells
    .filter((shell) => shell.keep() !== null)
    .sort((a, b) => Number(b.id === activeId) - Number(a.id === activeId) || b.lastActivity - a.lastActivity);
  keepScreens(newestFirst.map((shell) => ({ sessionId: shell.sessionId, take: (limit) => shell.portray(limit) })));
}
