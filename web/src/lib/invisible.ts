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

/** Stands for an invisible character where text is shown: Escape as ␛, others by their number. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (char) => {
    const code = char.charCodeAt(0);
    if (LAYOUT.has(char)) return char;
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}
