import type { Terminal } from "@xterm/xterm";

/** Half of a blink. */
const HALF_MS = 500;

/**
 * Blinks the cursor that xterm's DOM renderer draws. Its own animation makes the browser draw sixty frames a second, a
 * tenth of a processor for a terminal in which nothing happens; so the style sheet holds that still, and a class on the
 * host says twice a second which half of it is shown. The cursor shows while somebody types. WebGL's is its own.
 */
export function blinkCursor(term: Terminal, host: HTMLElement): () => void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const blinks = () => term.options.cursorBlink === true;
  const isOff = () => host.classList.contains("cursor-off");
  const show = () => host.classList.remove("cursor-off");
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    show();
  };
  const start = () => {
    stop();
    timer = setInterval(() => host.classList.toggle("cursor-off", blinks() && !isOff()), HALF_MS);
  };
  const moved = term.onCursorMove(() => {
    if (timer !== undefined) start();
  });
  host.addEventListener("focusin", start);
  host.addEventListener("focusout", stop);
  return () => {
    moved.dispose();
    host.removeEventListener("focusin", start);
    host.removeEventListener("focusout", stop);
    stop();
  };
}
