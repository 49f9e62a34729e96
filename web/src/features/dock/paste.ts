import { invisibleIn, type Piece, visiblePieces, withoutInvisible } from "../../lib/invisible.ts";

/**
 * `runs`: line ends, each of which a plain program takes for Enter. `large`: more than is pasted on purpose as a rule.
 * `invisible`: control characters, which steer the program or hide what else is in the paste.
 */
export type PasteRisk = "runs" | "large" | "invisible";

export interface Paste {
  text: string;
  /** Lines with something in them. */
  lines: number;
  bytes: number;
  invisible: number;
  risks: readonly PasteRisk[];
}

/** In bytes: what is larger is asked about. */
export const LARGE_PASTE = 8 * 1024;
const LINE_END = /\r\n|\r|\n/;

/** Looks at what is about to be pasted. A program that takes bracketed pastes runs no line of them by itself. */
export function pasteOf(text: string, bracketed: boolean): Paste {
  const bytes = new TextEncoder().encode(text).length;
  const invisible = invisibleIn(text);
  const risks: PasteRisk[] = [];
  if (!bracketed && LINE_END.test(text)) risks.push("runs");
  if (bytes > LARGE_PASTE) risks.push("large");
  if (invisible > 0) risks.push("invisible");
  return { text, lines: countLines(text), bytes, invisible, risks };
}

function countLines(text: string): number {
  return text.split(LINE_END).filter((line) => line.trim() !== "").length;
}

/** One line of many, which runs only when its reader presses Enter. A backslash that carried a line on goes. */
export function asOneLine(text: string): string {
  let joined = "";
  for (const line of text.split(LINE_END)) {
    const part = line.trim();
    if (part === "") continue;
    joined = joined === "" ? part : `${withoutContinuation(joined)} ${part}`;
  }
  return joined;
}

function withoutContinuation(line: string): string {
  const backslashes = /\\*$/.exec(line)?.[0].length ?? 0;
  return backslashes % 2 === 1 ? line.slice(0, -1).trimEnd() : line;
}

export interface PasteWish {
  oneLine: boolean;
  leaveOutInvisible: boolean;
}

/** What is typed for a paste whose owner was asked. */
export function pasteText({ text }: Paste, wish: PasteWish): string {
  const seen = wish.leaveOutInvisible ? withoutInvisible(text) : text;
  return wish.oneLine ? asOneLine(seen) : seen;
}

const SHOWN_LINES = 8;
const SHOWN_COLUMNS = 160;

/** The first lines, nothing in them hidden, and how many more there are. */
export function previewOf(text: string): { shown: Piece[][]; more: number } {
  const lines = text.split(LINE_END);
  if (lines.at(-1) === "") lines.pop();
  const shown = lines.slice(0, SHOWN_LINES).map((line) => {
    const cut = line.length > SHOWN_COLUMNS;
    return visiblePieces(cut ? `${line.slice(0, SHOWN_COLUMNS)}…` : line);
  });
  return { shown, more: lines.length - shown.length };
}
