import { notify } from "../../lib/notice.ts";
import { Store } from "../../lib/store.ts";

/** What browsers keep for themselves and hand over only in full screen, where they do at all. */
const KEYS = ["Escape", "KeyW", "KeyN", "KeyT"];

export interface FullScreen {
  on: boolean;
  /** The browser's own keys reach the shell; Escape leaves only when it is held. */
  keys: boolean;
}

export const fullScreen = new Store<FullScreen>({ on: false, keys: false });

/** The part of the browser that types do not know yet; absent outside Chromium and on pages that are not secure. */
interface Keyboard {
  lock(keys: string[]): Promise<void>;
  unlock(): void;
}

function keyboard(): Keyboard | undefined {
  return (navigator as Navigator & { keyboard?: Keyboard }).keyboard;
}

/** The whole page, in which the dock then takes all room: dialogs and menus stand outside the dock. */
export async function toggleFullScreen(): Promise<void> {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await enter();
  } catch {
    notify("The browser does not let this page fill the screen");
  }
}

async function enter(): Promise<void> {
  await document.documentElement.requestFullscreen({ navigationUI: "hide" });
  const keys = await keyboard()
    ?.lock(KEYS)
    .then(
      () => true,
      () => false,
    );
  fullScreen.set({ on: document.fullscreenElement !== null, keys: keys ?? false });
}

/** Follows the browser, which also leaves by itself. */
export function watchFullScreen(): () => void {
  const changed = () => {
    if (document.fullscreenElement) {
      fullScreen.update((now) => ({ ...now, on: true }));
      return;
    }
    keyboard()?.unlock?.();
    fullScreen.set({ on: false, keys: false });
  };
  document.addEventListener("fullscreenchange", changed);
  return () => document.removeEventListener("fullscreenchange", changed);
}
