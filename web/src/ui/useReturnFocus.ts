import { useState } from "react";

/**
 * Hands the focus back to where it was when this was first rendered, once a dialog closes, unless
 * something has taken it meanwhile (a terminal that was just opened). Radix knows only triggers, and
 * our dialogs are opened by keys and menus. `elsewhere` moves it to a better place. For a component that lives as long as the dialog is open.
 */
export function useReturnFocus(elsewhere?: () => void): (event: Event) => void {
  const [before] = useState(() => document.activeElement);
  return (event) => {
    event.preventDefault();
    if (document.activeElement !== document.body) return;
    if (elsewhere) elsewhere();
    else if (before instanceof HTMLElement) before.focus();
  };
}
