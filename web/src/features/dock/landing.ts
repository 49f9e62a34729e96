import { formatBytes } from "../../lib/bytes.ts";
import { type CopySink, NotKept } from "../../stream/files.ts";
import type { FoundFile } from "../../stream/frames.ts";

/** Up to this size a download goes to the browser's own folder without a question. */
export const UNASKED_BYTES = 64 * 1024 * 1024;
/** What a browser holds of a download until it is whole, where it lets no page write to the disk. */
export const HELD_BYTES = 512 * 1024 * 1024;
/** Pieces of this size are handed to the browser, which keeps them where it likes. */
const PIECE = 4 * 1024 * 1024;
/** How long a browser may take to fetch what it was told to save. */
const SAVE_MS = 60_000;

interface FileHandle {
  createWritable(): Promise<{
    write(bytes: Uint8Array): Promise<void>;
    close(): Promise<void>;
    abort(): Promise<void>;
  }>;
}

export type Picker = (options: { suggestedName: string }) => Promise<FileHandle>;

/** The browser's question of where to save a file, to which the page may then write; null where it has none. */
export function savePicker(): Picker | null {
  const { showSaveFilePicker } = window as { showSaveFilePicker?: Picker };
  return typeof showSaveFilePicker === "function" ? (options) => showSaveFilePicker.call(window, options) : null;
}

/** Whether the reader is asked where it goes. */
export function asksWhere({ size }: FoundFile): boolean {
  return savePicker() !== null && (size === null || size > UNASKED_BYTES);
}

/** Writes to the disk as the bytes come; the browser puts the file in its place when it is whole. */
export async function fileSink(handle: FileHandle): Promise<CopySink> {
  const file = await handle.createWritable();
  return {
    write: (bytes) => file.write(bytes),
    finish: () => file.close(),
    abandon: () => void file.abort().catch(() => undefined),
  };
}

/** Has the browser hold the bytes, and saves them as a file when they are all there. */
export function heldSink(name: string, { size }: FoundFile): CopySink {
  if (size !== null && size > HELD_BYTES) throw tooMuch();
  let held: Blob[] = [];
  let piece: Uint8Array<ArrayBuffer>[] = [];
  let pieceBytes = 0;
  let bytes = 0;
  const put = () => {
    held.push(new Blob(piece));
    piece = [];
    pieceBytes = 0;
  };
  return {
    async write(more) {
      bytes += more.length;
      if (bytes > HELD_BYTES) throw tooMuch();
      piece.push(more as Uint8Array<ArrayBuffer>);
      pieceBytes += more.length;
      if (pieceBytes >= PIECE) put();
    },
    async finish() {
      put();
      saveBlob(new Blob(held, { type: "application/octet-stream" }), name);
      held = [];
    },
    abandon() {
      held = [];
      piece = [];
    },
  };
}

function tooMuch(): NotKept {
  return new NotKept(
    `This browser lets no page write to the disk, so at most ${formatBytes(HELD_BYTES)} are downloaded here. Use Chrome or Edge, or: periscope cp.`,
  );
}

function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), SAVE_MS);
}

/** What a download is called here: the last part of its path, and of a folder, which comes as an archive, with its ending. */
export function nameHere(path: string, directory: boolean): string {
  const last = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  const name = last === "" || last === "." || last === ".." ? "files" : last;
  return directory ? `${name}.tar` : name;
}
