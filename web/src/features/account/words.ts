/** "1 shell ends", "3 shells end"; without a number where it is not known. */
export function counted(count: number | undefined, one: string, many: string): string {
  if (count === undefined) return `Every ${one}`;
  return count === 1 ? `1 ${one}` : `${count.toLocaleString()} ${many}`;
}
