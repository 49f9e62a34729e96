import { useEffect, useEffectEvent } from "react";
import { hasModifier, isTyping } from "../../ui/keys.ts";

/** "s" opens a shell, as in the list: one, however long it is held. */
export function useShellKey(open: () => void): void {
  const key = useEffectEvent((event: KeyboardEvent) => {
    if (event.key !== "s" || event.defaultPrevented || hasModifier(event) || isTyping(event.target)) return;
    event.preventDefault();
    if (!event.repeat) open();
  });
  useEffect(() => {
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
}
