import { type TarEntry, tar } from "../../lib/tar.ts";
import type { Upload } from "./transfers.ts";

/** A folder with more in it is none to upload from a page, which has to remember all of it. */
export const MAX_ENTRIES = 10_000;

/** Why a folder is not uploaded, in a sentence that begins with its name. */
export class NotPacked extends Error {}

/** A folder that was dropped, with all that is in it. */
export async function packEntry(folder: FileSystemDirectoryEntry): Promise<Upload> {
  const entries: TarEntry[] = [];
  await walk(folder, folder.name, entries);
  return packed(folder.name, entries);
}

/** Folders that were chosen: the browser tells their files alone, each with its path from the folder on. */
export function packChosen(files: readonly File[]): Upload[] {
  const byFolder = new Map<string, TarEntry[]>();
  for (const file of files) {
    const path = file.webkitRelativePath;
    const name = path.split("/")[0] ?? "";
    const entries = byFolder.get(name) ?? [];
    byFolder.set(name, entries);
    add(entries, name, { path, modified: file.lastModified, data: file });
  }
  return [...byFolder].map(([name, entries]) => packed(name, entries));
}

function packed(name: string, entries: readonly TarEntry[]): Upload {
  const archive = tar(entries);
  return { name, folder: true, size: archive.size, slice: (from, to) => archive.slice(from, to) };
}

async function walk(folder: FileSystemDirectoryEntry, path: string, entries: TarEntry[]): Promise<void> {
  add(entries, path, { path, modified: Date.now(), data: null });
  for (const entry of await listed(folder)) {
    const below = `${path}/${entry.name}`;
    if (entry.isDirectory) await walk(entry as FileSystemDirectoryEntry, below, entries);
    else {
      const file = await fileOf(entry as FileSystemFileEntry);
      add(entries, path, { path: below, modified: file.lastModified, data: file });
    }
  }
}

function add(entries: TarEntry[], path: string, entry: TarEntry): void {
  if (entries.length < MAX_ENTRIES) entries.push(entry);
  else
    throw new NotPacked(
      `${path.split("/")[0]} holds more than ${MAX_ENTRIES} files. Pack it into an archive first, or use: periscope cp.`,
    );
}

/** Browsers tell what is in a folder a hundred at a time, and nothing when that was all. */
async function listed(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0 || all.length > MAX_ENTRIES) return all;
    all.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
