import { whoami } from "../../api/endpoints.ts";

/** Many shells try at once, and each of them several times: they ask together. */
const BETWEEN_MS = 3_000;

let asked = Number.NEGATIVE_INFINITY;

/**
 * A page cannot read why its WebSocket was refused; the same login can be asked about by a request that it can. Where it has
 * ended, the page shows the way in, and the shells go on trying behind it.
 */
export function checkLogin(): void {
  const now = performance.now();
  if (now - asked < BETWEEN_MS) return;
  asked = now;
  whoami().catch(() => undefined);
}
