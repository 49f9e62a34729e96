import { active } from "../../api/endpoints.ts";
import { session } from "./session.ts";

/** Half of the shortest idle time that a server can be given, or somebody at work could be signed out between two. */
const EVERY_MS = 30_000;

/** What assistive technology and dictation do comes as a click or as input alone, without a key or a press before it. */
const DONE_BY_SOMEBODY = ["keydown", "pointerdown", "wheel", "click", "input"];

/** Tells the server, now and then, that somebody is at the page: what the page asks by itself keeps no login. Returns its end. */
export function tellActivity(): () => void {
  let told = Number.NEGATIVE_INFINITY;
  const did = () => {
    if (session.get().phase !== "in" || performance.now() - told < EVERY_MS) return;
    told = performance.now();
    active().catch(() => undefined);
  };
  const ends = new AbortController();
  for (const event of DONE_BY_SOMEBODY) {
    window.addEventListener(event, did, { capture: true, passive: true, signal: ends.signal });
  }
  return () => ends.abort();
}
