/** Letters of a code, as the command shows them: BCDF-GHJK. */
export function tidyCode(typed: string): string {
  const letters = typed
    .toUpperCase()
    .replace(/[^A-Z]/g, "")
    .slice(0, 8);
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

/** Where the answer may go: a port of this machine's loopback, and nowhere else. */
export function isLoopback(address: string): boolean {
  return /^http:\/\/127\.0\.0\.1:[0-9]{1,5}\/\?[A-Za-z0-9_.=&-]+$/.test(address);
}
