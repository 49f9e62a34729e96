import { settings } from "./settings.ts";
import { Store } from "./store.ts";

export type Theme = "light" | "dark";

const DARK = "(prefers-color-scheme: dark)";

export const theme = new Store<Theme>("light");

function resolve(): Theme {
  const choice = settings.get().theme;
  if (choice !== "system") return choice;
  return window.matchMedia(DARK).matches ? "dark" : "light";
}

/** Keeps the document's theme equal to the setting and, where that is "system", to the system's. */
export function followTheme(): () => void {
  const apply = () => {
    theme.set(resolve());
    document.documentElement.dataset.theme = theme.get();
  };
  const media = window.matchMedia(DARK);
  media.addEventListener("change", apply);
  const stop = settings.watch(apply);
  apply();
  return () => {
    media.removeEventListener("change", apply);
    stop();
  };
}
