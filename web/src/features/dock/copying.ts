import { formatBytes } from "../../lib/bytes.ts";
import { Store } from "../../lib/store.ts";
import type { Shell } from "./shell.ts";
import { copyFiles, type Place } from "./transfers.ts";

/** Somebody wants to copy files to or from a shell's container; which, and where to, may still be open. */
export type CopyQuestion = { shell: Shell; place: Place } & (
  | { way: "up"; files: readonly File[]; folders: readonly string[] }
  | { way: "down" }
);

/** The question that a dialog is asking. */
export const copyAsked = new Store<CopyQuestion | null>(null);

/** Where a shell's files are; null while it is not known in which container it will be. */
export function placeOfFiles(shell: Shell): Place | null {
  const { cluster, namespace, pod, container, reason, debug } = shell.target;
  const inside = shell.state.get().hello?.container || (debug ? "" : container);
  return inside ? { cluster, namespace, pod, reason, container: inside } : null;
}

export function askUpload(shell: Shell, dropped: Dropped = { files: [], folders: [] }): void {
  const place = placeOfFiles(shell);
  if (place) copyAsked.set({ way: "up", shell, place, ...dropped });
}

export function askDownload(shell: Shell): void {
  const place = placeOfFiles(shell);
  if (place) copyAsked.set({ way: "down", shell, place });
}

export interface Dropped {
  files: readonly File[];
  /** The names of folders, which are not copied. */
  folders: readonly string[];
}

export function carriesFiles(data: Pick<DataTransfer, "types"> | null): boolean {
  return data?.types.includes("Files") ?? false;
}

/** What was dropped. A folder looks like a file that cannot be read, and only its entry tells. */
export function droppedFiles(data: DataTransfer): Dropped {
  const files: File[] = [];
  const folders: string[] = [];
  for (const item of data.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    const file = item.getAsFile();
    if (entry?.isDirectory) folders.push(entry.name);
    else if (file) files.push(file);
  }
  return { files, folders };
}

/** The paths that were last used in each shell. */
const lastPaths = new WeakMap<Shell, { up?: string; down?: string }>();

/** Where files go, or come from, unless somebody says otherwise: as before, else where the shell says that it is, else /tmp. */
export function proposedPath({ shell, way }: CopyQuestion): string {
  const last = lastPaths.get(shell)?.[way];
  if (last) return last;
  const folder = shell.terminal?.folder || (way === "up" ? "/tmp" : "");
  return folder === "" || folder.endsWith("/") ? folder : `${folder}/`;
}

/** The bounds of a path and of a name in it, in bytes, as the server and file systems have them. */
const PATH_BYTES = 4096;
const NAME_BYTES = 255;

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** What is wrong with a path; empty where nothing is. */
export function pathTrouble(path: string): string {
  if (path === "") return "Say where.";
  if (path.includes("\0")) return "A path cannot hold a NUL character.";
  const bytes = bytesOf(path);
  return bytes > PATH_BYTES ? `The path has ${bytes} bytes, and at most ${PATH_BYTES} are taken.` : "";
}

/** What keeps a file from being uploaded; empty where nothing does. `limit` in bytes; null: not known. */
export function fileTrouble({ name, size }: Pick<File, "name" | "size">, limit: number | null): string {
  const bytes = bytesOf(name);
  if (bytes > NAME_BYTES) return `Its name has ${bytes} bytes, and at most ${NAME_BYTES} are taken. Rename it first.`;
  if (limit !== null && size > limit) return `It is larger than ${formatBytes(limit)}, the most that is copied here.`;
  return "";
}

/** Uploads what can be. Several files go into a folder that must be there: as a file each would replace the one before. */
export function upload({ shell, place }: CopyQuestion, files: readonly File[], path: string, reason: string): void {
  lastPaths.set(shell, { ...lastPaths.get(shell), up: path });
  const into = files.length > 1 && !path.endsWith("/") ? `${path}/` : path;
  copyFiles(files.map((file) => ({ way: "up", place: { ...place, reason }, path: into, file })));
}

export function download({ shell, place }: CopyQuestion, path: string, reason: string): void {
  lastPaths.set(shell, { ...lastPaths.get(shell), down: path });
  copyFiles([{ way: "down", place: { ...place, reason }, path }]);
}
