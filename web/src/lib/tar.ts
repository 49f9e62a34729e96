/** A file, or a folder where it has no data. */
export interface TarEntry {
  /** With slashes between its parts, and none at either end. */
  path: string;
  /** In ms since 1970. */
  modified: number;
  data: Blob | null;
}

const BLOCK = 512;
/** Longer names stand in a record of their own before that of the file. */
const NAME_BYTES = 100;
const LONG_NAME = "././@LongLink";

/**
 * A tar archive, as GNU tar writes it, which that of busybox reads too. The files in it are not read: the browser puts the pieces
 * together as they are asked for.
 */
export function tar(entries: readonly TarEntry[]): Blob {
  const parts: BlobPart[] = [];
  for (const { path, modified, data } of entries) {
    const name = new TextEncoder().encode(data ? path : `${path}/`);
    if (name.length > NAME_BYTES) parts.push(...longName(name));
    parts.push(header(name, data ? "0" : "5", data?.size ?? 0, modified));
    if (data) parts.push(data, padding(data.size));
  }
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}

function longName(name: Uint8Array<ArrayBuffer>): BlobPart[] {
  const size = name.length + 1;
  return [header(new TextEncoder().encode(LONG_NAME), "L", size, 0), name, new Uint8Array(1), padding(size)];
}

function padding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

type Kind = "0" | "5" | "L";

function header(name: Uint8Array, kind: Kind, size: number, modified: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const text = (at: number, value: string) => block.set(new TextEncoder().encode(value), at);
  block.set(name.subarray(0, NAME_BYTES));
  text(100, octal(kind === "5" ? 0o755 : 0o644, 8));
  text(108, octal(0, 8));
  text(116, octal(0, 8));
  writeSize(block, 124, size);
  text(136, octal(Math.max(0, Math.floor(modified / 1000)), 12));
  // The sum is that of a header in which it stands as spaces.
  text(148, " ".repeat(8));
  text(156, kind);
  text(257, "ustar  \0");
  const sum = block.reduce((all, byte) => all + byte, 0);
  text(148, `${octal(sum, 7)} `);
  return block;
}

/** `width` bytes with the one that ends it. */
function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, "0")}\0`;
}

/** 12 bytes: octal digits, and from 8 GiB on, for which these do not suffice, binary with the first bit set. */
function writeSize(block: Uint8Array<ArrayBuffer>, at: number, size: number): void {
  if (size < 8 ** 11) {
    block.set(new TextEncoder().encode(octal(size, 12)), at);
    return;
  }
  block[at] = 0x80;
  new DataView(block.buffer).setBigUint64(at + 4, BigInt(size));
}
