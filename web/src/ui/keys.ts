/** Whether a key press belongs to something that is typed into: a field, a list that is open, or a shell. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target.closest("input, textarea, select, [role=dialog], [role=menu], #dock [role=tabpanel]") !== null
  );
}

export function hasModifier(event: KeyboardEvent): boolean {
  return event.ctrlKey || event.metaKey || event.altKey;
}

/** Whether a key only composes a letter out of several. Safari tells the last such one after the end, by its code alone. */
export function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === COMPOSED;
}

const COMPOSED = 229;

/** For what Escape closes. */
export function unlessComposing(event: KeyboardEvent): void {
  if (isComposing(event)) event.preventDefault();
}
