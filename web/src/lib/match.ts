/**
 * How well `text` answers what was typed: every word must occur; earlier, at a word's start, and in
 * a shorter text is better. 0 means it does not match. Both sides are expected in lower case.
 */
export function matchScore(text: string, words: readonly string[]): number {
  let score = 1;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    const startsWord = at === 0 || /[^a-z0-9]/.test(text[at - 1] ?? "");
    score += (startsWord ? 100 : 20) + word.length / (1 + text.length) - at / 1000;
  }
  return score;
}

export function wordsOf(query: string): string[] {
  return query.toLowerCase().split(/\s+/).filter(Boolean);
}
