import { formatBytes } from "../../lib/bytes.ts";
import { Store } from "../../lib/store.ts";
import { NotPacked, packChosen, packEntry } from "./folders.ts";
import type { Shell } from "./shell.ts";
import { copyFiles, type Place, type Upload } from "./transfers.ts";

/** Somebody wants to copy files to or from a shell's container; which, and where to, may still be open. */
export type CopyQuestion = { shell: Shell; place: Place } & (Uploads | { way: "down" });

export interface Uploads {
  way: "up";
  /** Tells one question from the next, while folders are read for it. */
  key: object;
  files: readonly Upload[];
  /** How many folders are being read. */
  packing: number;
  /** Why folders are not among the files. */
  refused: readonly string[];
}

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
  if (!place) return;
  copyAsked.set({ way: "up", key: {}, shell, place, files: [], packing: 0, refused: [] });
  addDropped(dropped);
}

export function askDownload(shell: Shell): void {
  const place = placeOfFiles(shell);
  if (place) copyAsked.set({ way: "down", shell, place });
}

export interface Dropped {
  files: readonly Upload[];
  folders: readonly FileSystemDirectoryEntry[];
}

export function carriesFiles(data: Pick<DataTransfer, "types"> | null): boolean {
  return data?.types.includes("Files") ?? false;
}

/** What was dropped. A folder looks like a file that cannot be read, and only its entry tells; that is lost after the event. */
export function droppedFiles(data: DataTransfer): Dropped {
  const files: File[] = [];
  const folders: FileSystemDirectoryEntry[] = [];
  for (const item of data.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    const file = item.getAsFile();
    if (entry?.isDirectory) folders.push(entry as FileSystemDirectoryEntry);
    else if (file) files.push(file);
  }
  return { files, folders };
}

/** Adds to what the open question is about. */
export function addDropped({ files, folders }: Dropped): void {
  change((now) => ({ files: [...now.files, ...files] }));
  for (const folder of folders) void pack(folder.name, () => packEntry(folder));
}

export function addFolder(files: readonly File[]): void {
  const name = files[0]?.webkitRelativePath.split("/")[0] ?? "";
  if (files.length > 0) void pack(name, async () => packChosen(files));
}

export function leaveOut(file: Upload): void {
  change((now) => ({ files: now.files.filter((other) => other !== file) }));
}

async function pack(name: string, read: () => Promise<Upload | Upload[]>): Promise<void> {
  const asked = copyAsked.get();
  const key = asked?.way === "up" ? asked.key : null;
  change((now) => ({ packing: now.packing + 1 }));
  try {
    const folders = [await read()].flat();
    change((now) => ({ packing: now.packing - 1, files: [...now.files, ...folders] }), key);
  } catch (thrown) {
    const why = thrown instanceof NotPacked ? thrown.message : `${name} could not be read. Is it still there?`;
    change((now) => ({ packing: now.packing - 1, refused: [...now.refused, why] }), key);
  }
}

/** Changes the open question about uploads, where it is still that of `key`. */
function change(how: (now: Uploads) => Partial<Uploads>, key: object | null = null): void {
  copyAsked.update((now) => {
    if (now?.way !== "up" || (key && now.key !== key)) return now;
    return { ...now, ...how(now) };
  });
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
export function fileTrouble({ name, size }: Pick<Upload, "name" | "size">, limit: number | null): string {
  const bytes = bytesOf(name);
  if (bytes > NAME_BYTES) return `Its name has ${bytes} bytes, and at most ${NAME_BYTES} are taken. Rename it first.`;
  if (limit !== null && size > limit) return `It is larger than ${formatBytes(limit)}, the most that is copied here.`;
  return "";
}

/** Whether what is uploaded goes into a folder that must be there: of several files each would replace the one before. */
export function needsFolder(files: readonly Upload[]): boolean {
  return files.length > 1 || files.some(({ folder }) => folder);
}

export function upload({ shell, place }: CopyQuestion, files: readonly Upload[], path: string, reason: string): void {
  lastPaths.set(shell, { ...lastPaths.get(shell), up: path });
  const into = needsFolder(files) && !path.endsWith("/") ? `${path}/` : path;
  copyFiles(files.map((file) => ({ way: "up", place: { ...place, reason }, path: into, file })));
}

export function download({ shell, place }: CopyQuestion, path: string, reason: string): void {
  lastPaths.set(shell, { ...lastPaths.get(shell), down: path });
  copyFiles([{ way: "down", place: { ...place, reason }, path }]);
}
