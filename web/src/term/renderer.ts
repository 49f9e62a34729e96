import { WebglAddon } from "@xterm/addon-webgl";
import type { Terminal } from "@xterm/xterm";
import { settings } from "../lib/settings.ts";

/**
 * Draws with WebGL while the terminal shows, unless the setting says DOM. A page has few WebGL
 * contexts, so a hidden terminal gives its own back; where one is lost or refused, xterm's DOM
 * renderer takes over by itself.
 */
export function followRenderer(term: Terminal): () => void {
  let addon: WebglAddon | null = null;
  const drop = () => {
    addon?.dispose();
    addon = null;
  };
  const apply = () => {
    const wanted = settings.get().renderer === "auto";
    if (!wanted) drop();
    else if (!addon) addon = loadWebgl(term, drop);
  };
  const stop = settings.watch(apply);
  apply();
  return () => {
    stop();
    drop();
  };
}

function loadWebgl(term: Terminal, lost: () => void): WebglAddon | null {
  try {
    const addon = new WebglAddon();
    addon.onContextLoss(lost);
    term.loadAddon(addon);
    return addon;
  } catch {
    return null;
  }
}
