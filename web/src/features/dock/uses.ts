import { type DockUse, dockUse } from "../../lib/chords.ts";
import { notify } from "../../lib/notice.ts";
import type { KeyUse } from "../../term/keys.ts";
import { toggleFullScreen } from "./fullscreen.ts";
import {
  dock,
  dockKeys,
  otherPane,
  pageKeys,
  selectNeighbour,
  setPicking,
  setSearching,
  toggleDock,
  toggleSplit,
} from "./store.ts";

const DOCK_USES: Record<DockUse, () => void> = {
  toggleDock,
  pickShell: () => setPicking(dock.get().picking === "" ? "show" : ""),
  split: toggleSplit,
  fullScreen: () => void toggleFullScreen(),
  nextTab: () => selectNeighbour(1),
  previousTab: () => selectNeighbour(-1),
};

/** Does what a key or a command of the page asks of the dock, where there is one. */
export function runDockUse(use: DockUse): void {
  if (dock.get().shells.length > 0) DOCK_USES[use]();
  else notify("No shell is open");
}

function isDockUse(use: KeyUse): use is DockUse {
  return Object.hasOwn(DOCK_USES, use);
}

/** What a key pressed in a terminal does. */
function use(key: KeyUse): void {
  if (isDockUse(key)) DOCK_USES[key]();
  else if (key === "search") setSearching(true);
  else if (key === "otherPane") otherPane();
  else if (key === "controls") focusControls();
  else pageKeys.get()?.(key);
}

/** Out of the terminal to what lies around it: first a question that waits for an answer, else the shell's tab. */
function focusControls(): void {
  const section = document.getElementById(DOCK_ID);
  const question = section?.querySelector<HTMLElement>("[data-active] [data-asks] button, [data-asks] button");
  (question ?? section?.querySelector<HTMLElement>("[role=tab][aria-selected=true]"))?.focus();
}

export const DOCK_ID = "dock";

/** The dock's own keys, anywhere on the page and in the terminals, which keep theirs to themselves. */
export function watchKeys(): () => void {
  const key = (event: KeyboardEvent) => {
    const what = dockUse(event);
    if (!what || dock.get().shells.length === 0 || dialogIsOpen(event.target)) return;
    event.preventDefault();
    DOCK_USES[what]();
  };
  window.addEventListener("keydown", key);
  dockKeys.set(use);
  return () => {
    window.removeEventListener("keydown", key);
    dockKeys.set(null);
  };
}

/** A dialog is answered before anything moves behind it. */
function dialogIsOpen(target: EventTarget | null): boolean {
  const dialog = target instanceof Element ? target.closest("[role=dialog]") : null;
  return dialog !== null && dialog.closest("[data-radix-popper-content-wrapper]") === null;
}
