import { notify } from "../../lib/notice.ts";
import { settings } from "../../lib/settings.ts";
import { readStored, writeStored } from "../../lib/storage.ts";
import { Store } from "../../lib/store.ts";
import type { KeyUse } from "../../term/keys.ts";
import {
  type Arrangement,
  add,
  move,
  neighbour,
  remove,
  replace,
  select,
  showBeside,
  swapIn,
  unsplit,
} from "./arrangement.ts";
import { notTakenOver } from "./ending.ts";
import { checkLogin } from "./login.ts";
import { cleanName, type Named, nextNumber } from "./names.ts";
import { type Paste, pasteOf } from "./paste.ts";
import { type Origin, Shell, type ShellHost, type ShellTarget } from "./shell.ts";

export type DockLayout = "panel" | "full" | "minimised";

export interface DockState {
  /** In the order of their tabs. */
  shells: readonly Shell[];
  activeId: string;
  /** The shells side by side, left and right; null: only the active one shows. */
  panes: readonly [string, string] | null;
  /** The left one's share of a split. */
  ratio: number;
  layout: DockLayout;
  height: number;
  /** The search bar of the active shell is showing. */
  searching: boolean;
  /** The shell whose tab is being named; empty: none. */
  renaming: string;
  /** A list of shells is open: to show one, or to put one beside the active one. */
  picking: "" | "show" | "beside";
  /** A shell that still runs, to be closed once its owner has said so. */
  closing: Shell | null;
  /** A shell that a limit kept from opening, while its owner chooses another one to end. */
  capped: Shell | null;
  /** A paste that waits for its owner to say how it is meant. */
  pasting: { shell: Shell; paste: Paste } | null;
}

const HEIGHT_KEY = "periscope.dockHeight";
export const MIN_HEIGHT = 160;
const DEFAULT_HEIGHT = 360;
const RATIO_KEY = "periscope.dockRatio";
/** Neither side of a split gets less than this share. */
export const MIN_RATIO = 0.2;

function storedHeight(): number {
  const height = Number(readStored(HEIGHT_KEY));
  return Number.isFinite(height) && height >= MIN_HEIGHT ? height : DEFAULT_HEIGHT;
}

function storedRatio(): number {
  const stored = readStored(RATIO_KEY);
  return stored === null ? 0.5 : boundedRatio(Number(stored));
}

function boundedRatio(ratio: number): number {
  if (!Number.isFinite(ratio)) return 0.5;
  return Math.round(Math.max(MIN_RATIO, Math.min(ratio, 1 - MIN_RATIO)) * 1000) / 1000;
}

export const dock = new Store<DockState>({
  shells: [],
  activeId: "",
  panes: null,
  ratio: storedRatio(),
  layout: "panel",
  height: storedHeight(),
  searching: false,
  renaming: "",
  picking: "",
  closing: null,
  capped: null,
  pasting: null,
});

/** What the dock does with the keys pressed in a terminal that are not the shell's. */
export const dockKeys = new Store<((use: KeyUse) => void) | null>(null);

/** Keys pressed in a terminal that belong to the page around the dock (the palette). */
export const pageKeys = new Store<((use: KeyUse) => void) | null>(null);

function set(change: Partial<DockState>): void {
  dock.update((state) => ({ ...state, ...change }));
}

export function activeShell(state: DockState): Shell | null {
  return state.shells.find((shell) => shell.id === state.activeId) ?? null;
}

/** What the tabs and the list of shells call each shell by. */
export function named(shells: readonly Shell[]): Named[] {
  return shells.map((shell) => {
    const { name, number } = shell.state.get();
    return { id: shell.id, name, number, target: shell.target };
  });
}

/** A split of which a side is gone, as after signing out, is none. */
function arrangement({ shells, activeId, panes }: DockState): Arrangement {
  const order = shells.map(({ id }) => id);
  return { order, activeId, panes: panes?.every((id) => order.includes(id)) ? panes : null };
}

/** Rearranges the shells; `among` are those that there are afterwards. */
function arrange(change: (now: Arrangement) => Arrangement, more: Partial<DockState> = {}, among?: Shell[]): void {
  const now = dock.get();
  const { order, activeId, panes } = change(arrangement(now));
  const byId = new Map((among ?? now.shells).map((shell) => [shell.id, shell]));
  set({ shells: order.flatMap((id) => byId.get(id) ?? []), activeId, panes, ...more });
}

/** What the dock goes back to from its bar. */
let opened: Exclude<DockLayout, "minimised"> = "panel";

/** What a shell that comes into view takes with it: the panel opens, and what was about another shell closes. */
function inView(): Partial<DockState> {
  const { layout } = dock.get();
  return { layout: layout === "minimised" ? opened : layout, searching: false, renaming: "", picking: "" };
}

/** True while somebody walks along the tabs with the arrow keys: what comes into view leaves the keyboard there. */
let walking = false;

/** Whether the keyboard goes to a shell that comes into view. */
export function wantsKeyboard(shell: Shell): boolean {
  return !walking && dock.get().activeId === shell.id;
}

export function openShell(target: ShellTarget): void {
  show(newShell(target));
}

/** One that is in no tab yet. */
export function newShell(target: ShellTarget, origin: Origin = {}): Shell {
  return new Shell(target, shellHost, { number: nextNumber(named(dock.get().shells), target), ...origin });
}

/** Puts a shell into the dock, in view. */
export function show(shell: Shell): void {
  walking = false;
  arrange((now) => add(now, shell.id), inView(), [...dock.get().shells, shell]);
}

/** A fresh shell in the place of one that ended, or of one in another container. */
export function renewShell(old: Shell, target: ShellTarget = old.target): void {
  const { name, number, ending, connectedAt } = old.state.get();
  // One that never opened was not a shell that could be missed; nor is one that runs on elsewhere.
  const insteadOf = connectedAt > 0 && ending !== notTakenOver ? ending?.title : "";
  const fresh = new Shell(target, shellHost, { number, name, insteadOf });
  const among = [...dock.get().shells, fresh];
  walking = false;
  arrange((now) => select(replace(now, old.id, fresh.id), fresh.id), { searching: false }, among);
  old.dispose();
}

/** Closes a tab; one whose shell still runs asks first. */
export function requestClose(shell: Shell): void {
  if (shell.live || shell.awaitsReload) set({ closing: shell });
  else closeShell(shell);
}

export function cancelClose(): void {
  set({ closing: null });
}

export function closeShell(shell: Shell): void {
  const { shells, layout } = dock.get();
  walking = false;
  arrange((now) => remove(now, shell.id), {
    layout: shells.length === 1 ? "panel" : layout,
    closing: null,
    capped: null,
    renaming: "",
  });
  shell.dispose();
  // The other pane is there already; a tab that comes into view takes the keyboard by itself.
  focusActive();
}

/** Brings a shell into view and the keyboard to it. */
export function selectShell(id: string): void {
  walking = false;
  arrange((now) => select(now, id), inView());
  focusActive();
}

/** The next tab from the terminal's own keys. */
export function selectNeighbour(step: 1 | -1): void {
  selectShell(neighbour(arrangement(dock.get()), step));
}

/** The tab after that of `from`, while the keyboard stays with the tabs. Returns its shell. */
export function walkTabs(from: string, step: 1 | -1): string {
  const id = neighbour({ ...arrangement(dock.get()), activeId: from }, step);
  walking = true;
  arrange((now) => select(now, id), inView());
  return id;
}

/** The pane in which somebody types or clicks is the active one. */
export function activatePane(id: string): void {
  const { activeId, panes } = dock.get();
  if (activeId !== id && panes?.includes(id)) set({ activeId: id, searching: false });
}

export function otherPane(): void {
  const { panes, activeId } = dock.get();
  const other = panes?.find((id) => id !== activeId);
  if (other) selectShell(other);
}

/** Puts another shell beside the active one. */
export function splitWith(id: string): void {
  walking = false;
  arrange((now) => showBeside(now, id), inView());
  focusActive();
}

/** Opens one more shell in the active one's container, beside it. */
export function splitNew(): void {
  const active = activeShell(dock.get());
  if (!active) return;
  const shell = newShell(active.target);
  walking = false;
  const among = [...dock.get().shells, shell];
  arrange((now) => showBeside({ ...now, order: [...now.order, shell.id] }, shell.id), inView(), among);
}

/** Splits, asking with which shell where there is a choice; or ends the split. */
export function toggleSplit(): void {
  const { shells, panes, layout } = dock.get();
  if (shells.length === 0 || layout === "minimised") return;
  if (panes) {
    arrange(unsplit);
    focusActive();
  } else if (!splitFits()) notify("The window is too narrow to show two shells side by side");
  else if (shells.length === 1) splitNew();
  else setPicking("beside");
}

/** Puts a shell into the pane of another. */
export function showInPane(at: string, id: string): void {
  walking = false;
  arrange((now) => swapIn(now, at, id), inView());
  focusActive();
}

export function setRatio(ratio: number): void {
  const bounded = boundedRatio(ratio);
  writeStored(RATIO_KEY, String(bounded));
  set({ ratio: bounded });
}

export function moveShell(id: string, to: number): void {
  arrange((now) => move(now, id, to));
}

export function moveShellBy(id: string, step: 1 | -1): void {
  moveShell(id, dock.get().shells.findIndex((shell) => shell.id === id) + step);
}

export function setRenaming(renaming: string): void {
  set({ renaming });
}

/** Names a tab; an empty name brings the pod's back. */
export function renameShell(shell: Shell, typed: string): void {
  shell.rename(cleanName(typed));
  set({ renaming: "" });
}

export function setPicking(picking: DockState["picking"]): void {
  if (dock.get().shells.length > 0 || picking === "") set({ picking });
}

export function setLayout(layout: DockLayout): void {
  const { layout: before } = dock.get();
  if (before !== "minimised") opened = before;
  walking = false;
  set({ layout, searching: false, renaming: "", picking: "" });
  focusActive();
}

export function toggleDock(): void {
  if (dock.get().shells.length === 0) return;
  setLayout(dock.get().layout === "minimised" ? opened : "minimised");
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

/** Opens the search bar of a shell, wherever it is. */
export function findIn(shell: Shell): void {
  if (dock.get().activeId !== shell.id) selectShell(shell.id);
  setSearching(true);
}

export function liveShells(): Shell[] {
  return dock.get().shells.filter((shell) => shell.live);
}

/** Asks which other shell to end for one that a limit kept from opening; null: no longer. */
export function makeRoom(capped: Shell | null): void {
  set({ capped });
}

/** The paste that waits is typed as `text`; null: it is not meant at all. */
export function answerPaste(text: string | null): void {
  const { pasting } = dock.get();
  set({ pasting: null });
  if (text !== null) pasting?.shell.terminal?.paste(text);
}

/** Types what comes from the clipboard, or asks first where it could do what its owner does not expect. */
export function pasteInto(shell: Shell, text: string): void {
  const terminal = shell.terminal;
  if (!terminal || !shell.live || text === "") return;
  const paste = pasteOf(text, terminal.bracketedPaste);
  if (settings.get().pasteWarning && paste.risks.length > 0) set({ pasting: { shell, paste } });
  else terminal.paste(text);
}

/** From this width on two shells fit side by side. */
export const SPLIT_FITS = "(min-width: 900px)";

export function splitFits(): boolean {
  return window.matchMedia(SPLIT_FITS).matches;
}

const shellHost: ShellHost = {
  capped: makeRoom,
  unanswered: checkLogin,
  key: (use) => dockKeys.get()?.(use),
  copied: (ok) => notify(ok ? "Copied the selection" : "The browser refused to copy"),
  paste: pasteInto,
  isSplit: () => dock.get().panes !== null && splitFits(),
};
