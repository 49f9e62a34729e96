import { Store } from "../lib/store.ts";
import { whoami } from "./endpoints.ts";
import type { Whoami } from "./types.ts";

/** The last answer to whose login this is; null before the first one that was asked for here. */
export const toldWho = new Store<Whoami | null>(null);

/** Many parts of the page ask at once, and each of them several times: they ask together. */
const BETWEEN_MS = 3_000;

let asked = Number.NEGATIVE_INFINITY;

/** Asks whose login this is now. That it has ended is told as by every other call; a failure changes nothing. */
export function askWho(): void {
  const now = performance.now();
  if (now - asked < BETWEEN_MS) return;
  asked = now;
  whoami().then(
    (who) => toldWho.set(who),
    () => undefined,
  );
}
