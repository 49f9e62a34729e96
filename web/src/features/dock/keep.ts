import type { Picture } from "../../term/picture.ts";
import type { ClipboardConsent } from "./consent.ts";
import type { ShellTarget } from "./shell.ts";

/** What a page needs to come back to a shell after it was loaded anew. */
export interface KeptShell {
  sessionId: string;
  /** Opens the way back. The server gives it to one page at a time. */
  token: string;
  resumeSeconds: number;
  target: ShellTarget;
  /** When it was first connected, by the wall clock. */
  connectedAt: number;
  /** What its owner calls it, and which of the shells in its container it is. */
  name: string;
  number: number;
  /** What its owner said about its programs setting the clipboard; without: nothing. */
  clipboard?: ClipboardConsent;
}

export interface KeptDock {
  shells: KeptShell[];
  /** Of the active one among them. */
  active: number;
  /** The two that show side by side. */
  panes: [number, number] | null;
  layout: string;
  /** When the page was left, by the wall clock; 0: it was not. */
  leftAt: number;
}

/** A screen, and up to where in the shell's output it shows everything. */
export interface KeptScreen extends Picture {
  offset: number;
}

/** The index is small and written at once; screens are large and written when the page goes out of sight. */
const INDEX = "periscope.shells";
const SCREEN = "periscope.screen.";
const VERSION = 1;
/** In characters: what browsers give to a page is about five million of them. */
export const SCREEN_LIMIT = 512 * 1024;
export const SCREENS_LIMIT = 3 * 1024 * 1024;

/** The tab's own storage: a reload keeps it, nobody else sees it. It may be blocked or full. */
function storage(): Storage | null {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

function write(key: string, value: unknown): boolean {
  try {
    storage()?.setItem(key, JSON.stringify(value));
    return storage() !== null;
  } catch {
    return false;
  }
}

function read(key: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(storage()?.getItem(key) ?? "null");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function remove(key: string): void {
  try {
    storage()?.removeItem(key);
  } catch {
    // Blocked: then nothing was kept.
  }
}

/** Returns whether it was kept: a page that cannot keep its shells loses them when it is loaded anew. */
export function keepDock(owner: string, dock: KeptDock): boolean {
  const known = new Set(dock.shells.map(({ sessionId }) => SCREEN + sessionId));
  for (const key of screens()) if (!known.has(key)) remove(key);
  if (dock.shells.length === 0) {
    remove(INDEX);
    return true;
  }
  return write(INDEX, { version: VERSION, owner, ...dock });
}

/** What was kept for this login; whatever another one has left is forgotten. */
export function keptDock(owner: string): KeptDock | null {
  const kept = read(INDEX);
  if (!kept) return null;
  if (kept.version !== VERSION || kept.owner !== owner || !Array.isArray(kept.shells)) {
    forgetDock();
    return null;
  }
  const shells = kept.shells.filter(isKeptShell);
  return {
    shells,
    active: isCount(kept.active) ? kept.active : 0,
    panes: isPair(kept.panes) ? kept.panes : null,
    layout: typeof kept.layout === "string" ? kept.layout : "",
    leftAt: isCount(kept.leftAt) ? kept.leftAt : 0,
  };
}

/** Whether anything is kept at all, whoever it belongs to. */
export function anythingKept(): boolean {
  return read(INDEX) !== null;
}

export function forgetDock(): void {
  remove(INDEX);
  for (const key of screens()) remove(key);
}

/** One whose screen is to be kept. `take` returns a screen of at most so many characters. */
export interface Portrayed {
  sessionId: string;
  take(limit: number): KeptScreen | null;
}

/**
 * Keeps the screens of shells, the most important ones first. Where there is not room enough, lines above the screen are
 * left out, and then whole screens: such a shell comes back with what the server still has.
 */
export function keepScreens(shells: readonly Portrayed[]): void {
  let room = SCREENS_LIMIT;
  // What is there is older, and takes the room of what comes.
  for (const { sessionId } of shells) remove(SCREEN + sessionId);
  for (const shell of shells) room -= keepScreen(shell, Math.min(room, SCREEN_LIMIT));
}

function keepScreen({ sessionId, take }: Portrayed, room: number): number {
  for (let limit = room; limit >= 1_024; limit = Math.floor(limit / 8)) {
    const screen = take(limit);
    if (!screen) return 0;
    if (write(SCREEN + sessionId, screen)) return screen.screen.length;
  }
  return 0;
}

export function keptScreen(sessionId: string): KeptScreen | null {
  const kept = read(SCREEN + sessionId);
  if (!kept || typeof kept.screen !== "string") return null;
  const { offset, cols, rows, screen } = kept;
  return isCount(offset) && isSize(cols) && isSize(rows) ? { offset, cols, rows, screen } : null;
}

function screens(): string[] {
  try {
    return Object.keys(storage() ?? {}).filter((key) => key.startsWith(SCREEN));
  } catch {
    return [];
  }
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Cells on a side of a screen that a page can have shown. */
function isSize(value: unknown): value is number {
  return isCount(value) && value >= 1 && value <= 2_000;
}

const CONSENTS: readonly ClipboardConsent[] = ["ask", "always", "never"];
const TARGET = ["cluster", "namespace", "pod", "container", "reason"] as const;

function isKeptShell(value: unknown): value is KeptShell {
  if (typeof value !== "object" || value === null) return false;
  const { sessionId, token, resumeSeconds, target, connectedAt, name, number, clipboard } = value as Record<
    string,
    unknown
  >;
  if (typeof sessionId !== "string" || typeof token !== "string" || !sessionId || !token) return false;
  if (typeof name !== "string" || !isCount(number)) return false;
  if (!isCount(resumeSeconds) || !isCount(connectedAt) || typeof target !== "object" || target === null) return false;
  if (clipboard !== undefined && !CONSENTS.some((consent) => consent === clipboard)) return false;
  const { of } = target as Record<string, unknown>;
  if (of !== undefined && typeof of !== "string") return false;
  return TARGET.every((part) => typeof (target as Record<string, unknown>)[part] === "string");
}
