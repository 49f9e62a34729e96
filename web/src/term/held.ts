/**
 * xterm takes no text of an emoji picker or a phone's keyboard while it believes a key to be held, and believes that of
 * a key that was let go after the focus had moved, as after a shortcut. So whoever comes back is told that none is.
 */
export function letGoOnReturn(host: HTMLElement): () => void {
  const letGo = (event: FocusEvent) => event.target?.dispatchEvent(new KeyboardEvent("keyup"));
  host.addEventListener("focusin", letGo);
  return () => host.removeEventListener("focusin", letGo);
}
