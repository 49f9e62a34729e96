import { notify } from "../../lib/notice.ts";
import { readStored, writeStored } from "../../lib/storage.ts";
import { Store } from "../../lib/store.ts";
import type { KeyUse } from "../../term/keys.ts";
import { Shell, type ShellTarget } from "./shell.ts";

export type DockLayout = "panel" | "full" | "minimised";

export interface DockState {
  shells: readonly Shell[];
  activeId: string;
  layout: DockLayout;
  height: number;
  /** The search bar of the active shell is showing. */
  searching: boolean;
  /** A running shell that is to be closed once its owner has said so. */
  closing: Shell | null;
  /** A shell that a limit kept from opening, while its owner chooses another one to end. */
  capped: Shell | null;
}

const HEIGHT_KEY = "periscope.dockHeight";
export const MIN_HEIGHT = 160;
const DEFAULT_HEIGHT = 360;

function storedHeight(): number {
  const height = Number(readStored(HEIGHT_KEY));
  return Number.isFinite(height) && height >= MIN_HEIGHT ? height : DEFAULT_HEIGHT;
}

export const dock = new Store<DockState>({
  shells: [],
  activeId: "",
  layout: "panel",
  height: storedHeight(),
  searching: false,
  closing: null,
  capped: null,
});

/** Keys pressed in a terminal that belong to the page around the dock (the palette). */
export const pageKeys = new Store<((use: KeyUse) => void) | null>(null);

function set(change: Partial<DockState>): void {
  dock.update((state) => ({ ...state, ...change }));
}

export function activeShell(state: DockState): Shell | null {
  return state.shells.find((shell) => shell.id === state.activeId) ?? null;
}

export function openShell(target: ShellTarget): void {
  const shell = new Shell(target, shellHost);
  const { layout, shells } = dock.get();
  set({
    shells: [...shells, shell],
    activeId: shell.id,
    layout: layout === "minimised" ? "panel" : layout,
    searching: false,
  });
}

/** A fresh shell in the place of one that ended. */
export function renewShell(old: Shell): void {
  const fresh = new Shell(old.target, shellHost);
  const { shells } = dock.get();
  set({ shells: shells.map((shell) => (shell === old ? fresh : shell)), activeId: fresh.id, searching: false });
  old.dispose();
}

/** Closes a tab; one whose shell still runs asks first. */
export function requestClose(shell: Shell): void {
  if (shell.live) set({ closing: shell });
  else closeShell(shell);
}

export function cancelClose(): void {
  set({ closing: null });
}

export function closeShell(shell: Shell): void {
  const { shells, activeId, layout } = dock.get();
  const at = shells.indexOf(shell);
  const rest = shells.filter((other) => other !== shell);
  const neighbour = rest[Math.min(at, rest.length - 1)];
  set({
    shells: rest,
    activeId: activeId === shell.id ? (neighbour?.id ?? "") : activeId,
    layout: rest.length === 0 ? "panel" : layout,
    closing: null,
    capped: null,
  });
  shell.dispose();
}

export function selectShell(id: string): void {
  const { layout } = dock.get();
  set({ activeId: id, layout: layout === "minimised" ? "panel" : layout, searching: false });
}

export function selectNeighbour(step: 1 | -1): void {
  const { shells, activeId } = dock.get();
  const at = shells.findIndex((shell) => shell.id === activeId);
  const next = shells[(at + step + shells.length) % shells.length];
  if (next) selectShell(next.id);
}

export function setLayout(layout: DockLayout): void {
  set({ layout, searching: false });
}

export function toggleDock(): void {
  if (dock.get().shells.length === 0) return;
  setLayout(dock.get().layout === "minimised" ? "panel" : "minimised");
}

export function setHeight(height: number, roomPx: number): void {
  const bounded = Math.round(Math.max(MIN_HEIGHT, Math.min(height, roomPx)));
  writeStored(HEIGHT_KEY, String(bounded));
  set({ height: bounded, layout: "panel" });
}

export function focusActive(): void {
  activeShell(dock.get())?.focus();
}

export function setSearching(searching: boolean): void {
  set({ searching });
  if (!searching) focusActive();
}

export function liveShells(): Shell[] {
  return dock.get().shells.filter((shell) => shell.live);
}

/** Asks which other shell to end for one that a limit kept from opening; null: no longer. */
export function makeRoom(capped: Shell | null): void {
  set({ capped });
}

const shellHost = {
  capped: makeRoom,
  key(use: KeyUse): void {
    if (use === "search") setSearching(true);
    else if (use === "nextTab") selectNeighbour(1);
    else if (use === "previousTab") selectNeighbour(-1);
    else if (use === "toggleDock") toggleDock();
    else pageKeys.get()?.(use);
  },
  copied(ok: boolean): void {
    notify(ok ? "Copied the selection" : "The browser refused to copy");
  },
};
