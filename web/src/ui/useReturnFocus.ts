import { useState } from "react";

/**
 * Hands the focus back to where it was when this was first rendered, once a dialog closes, unless
 * something has taken it meanwhile (a terminal that was just opened). Radix knows only triggers, and
 * our dialogs are opened by keys and menus. `elsewhere` moves it to a better place. Where neither takes
 * it, the page does: from nowhere the next Tab would begin at the top. For a component that lives as long as the dialog is open.
 */
export function useReturnFocus(elsewhere?: () => void): (event: Event) => void {
  const [before] = useState(focused);
  return (event) => {
    event.preventDefault();
    if (!isNowhere()) return;
    if (elsewhere) elsewhere();
    else if (before instanceof HTMLElement) before.focus();
    if (isNowhere()) document.getElementById("page")?.focus();
  };
}

/** A menu goes as the dialog that it opened comes: then the button that the menu is under. */
function focused(): Element | null {
  const { activeElement } = document;
  const button = activeElement?.closest("[role=menu]")?.getAttribute("aria-labelledby");
  return button ? document.getElementById(button) : activeElement;
}

const isNowhere = () => document.activeElement === document.body;
