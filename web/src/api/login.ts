import { Store } from "../lib/store.ts";
import { whoami } from "./endpoints.ts";
import type { Whoami } from "./types.ts";

/** The last answer to whose login this is; null before the first one that was asked for here. */
export const toldWho = new Store<Whoami | null>(null);

/** Many parts of the page ask at once, and each of them several times: they ask together. */
const BETWEEN_MS = 3_000;

let asked = Number.NEGATIVE_INFINITY;
let underWay = 0;
let later: ReturnType<typeof setTimeout> | undefined;

/**
 * Asks whose login this is now, or as soon as it may be asked again: what changed since the last answer is told too. That it
 * has ended is told as by every other call; a failure changes nothing.
 */
export function askWho(): void {
  const rest = asked + BETWEEN_MS - performance.now();
  if (rest <= 0) ask();
  // Coming back to a page is two events: the answer that is under way is to both.
  else if (underWay === 0) later ??= setTimeout(ask, rest);
}

/** Forgets what is yet to be asked. */
export function stopAsking(): void {
  clearTimeout(later);
  later = undefined;
}

function ask(): void {
  stopAsking();
  asked = performance.now();
  underWay++;
  whoami()
    .then(
      (who) => toldWho.set(who),
      () => undefined,
    )
    .finally(() => underWay--);
}
