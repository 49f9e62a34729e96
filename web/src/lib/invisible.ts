/** Characters that do something instead of being seen: control characters but tab and line ends, and marks that reverse the text's direction. */
export const INVISIBLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

const LAYOUT = new Set(["\t", "\n", "\r"]);

/** The invisible characters in `text`, tabs and line ends left out. */
export function invisibleIn(text: string): number {
  let count = 0;
  for (const [char] of text.matchAll(INVISIBLE)) if (!LAYOUT.has(char)) count++;
  return count;
}

export function withoutInvisible(text: string): string {
  return text.replace(INVISIBLE, (char) => (LAYOUT.has(char) ? char : ""));
}

/** Text with its invisible characters set apart. */
export interface Piece {
  text: string;
  /** `text` stands for an invisible character. */
  stands: boolean;
}

/** The text in pieces that can all be seen: Escape stands as ^[, what terminals have no name for by its number. */
export function visiblePieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { 0: char, index } of text.matchAll(INVISIBLE)) {
    if (LAYOUT.has(char)) continue;
    if (index > from) pieces.push({ text: text.slice(from, index), stands: false });
    pieces.push({ text: nameOf(char.charCodeAt(0)), stands: true });
    from = index + char.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), stands: false });
  return pieces;
}

export function visible(text: string): string {
  return visiblePieces(text)
    .map((piece) => piece.text)
    .join("");
}

function nameOf(code: number): string {
  if (code < 0x20) return `^${String.fromCharCode(code + 0x40)}`;
  return code === 0x7f ? "^?" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}
