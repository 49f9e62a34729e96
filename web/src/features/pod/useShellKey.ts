import { useEffect, useEffectEvent } from "react";
import { hasModifier, isTyping } from "../../ui/keys.ts";

/** "s" opens a shell, as in the list. */
export function useShellKey(open: () => void): void {
  const key = useEffectEvent((event: KeyboardEvent) => {
    if (event.key !== "s" || event.defaultPrevented || hasModifier(event) || isTyping(event.target)) return;
    event.preventDefault();
    open();
  });
  useEffect(() => {
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
}
