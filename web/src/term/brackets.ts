/** How each of the marks begins that stand around a paste. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: with Escape
const BEGINNINGS = /(?:\u001b\[|\u009b)(?=20[01]~)/g;

/**
 * A paste that cannot end its own brackets and go on as if it was typed. What begins a mark in it becomes a sign that
 * is seen, and not nothing: what stood before and behind would join, maybe to another mark.
 */
export function withoutPasteMarks(text: string): string {
  return text.replace(BEGINNINGS, "␛[");
}
