/** The id of a shell's tab, by which its panel is named. */
export function tabId(shell: { id: string }): string {
  return `${shell.id}-tab`;
}
