import type { IBuffer, IBufferLine } from "@xterm/xterm";

/** In characters. What is kept above the screen fits many times over. */
export const TEXT_LIMIT = 32 * 1024 * 1024;
const LEFT_OUT = "[older lines are left out]\n";

type Buffer = Pick<IBuffer, "length" | "getLine">;

/**
 * What a terminal holds, as text: rows that were wrapped are one line again, blanks at the ends of lines and empty lines at
 * the end are left out. Where it is longer than `limit`, the oldest lines go, and the first line says so.
 */
export function bufferText(buffer: Buffer, limit = TEXT_LIMIT): string {
  const lines = logicalLines(buffer);
  while (lines.at(-1) === "") lines.pop();
  let from = lines.length;
  let length = 0;
  while (from > 0) {
    length += (lines[from - 1]?.length ?? 0) + 1;
    if (length > limit) break;
    from--;
  }
  const text = lines.slice(from).map((line) => `${line}\n`);
  return (from > 0 ? LEFT_OUT : "") + text.join("");
}

function logicalLines(buffer: Buffer): string[] {
  const lines: string[] = [];
  let whole = "";
  for (let row = 0; row < buffer.length; row++) {
    const line = buffer.getLine(row);
    if (!line) continue;
    const next = buffer.getLine(row + 1);
    whole += rowText(line, next);
    if (next?.isWrapped) continue;
    lines.push(whole.trimEnd());
    whole = "";
  }
  return lines;
}

/** A wide character that did not fit leaves its row's last cell empty: there was no blank. */
function rowText(line: IBufferLine, next: IBufferLine | undefined): string {
  if (!next?.isWrapped) return line.translateToString(true);
  const gap = line.getCell(line.length - 1)?.getChars() === "" && next.getCell(0)?.getWidth() === 2;
  return line.translateToString(false, 0, gap ? line.length - 1 : line.length);
}
