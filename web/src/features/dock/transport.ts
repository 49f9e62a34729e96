import type { HelloFrame } from "../../stream/frames.ts";

const NAMES: Record<string, string> = { ws: "WebSocket", spdy: "SPDY" };

/** How a shell is carried and, where WebSocket fails, when it gets its next try. `now` in ms since 1970. */
export function transportText(
  hello: Pick<HelloFrame, "transport" | "circuitBreaker" | "webSocketRetryAt">,
  now: number,
): string {
  const name = (NAMES[hello.transport] ?? hello.transport) || "–";
  const retryAt = Date.parse(hello.webSocketRetryAt);
  if (hello.circuitBreaker !== "open" || hello.transport === "ws" || Number.isNaN(retryAt)) return name;
  const minutes = Math.ceil((retryAt - now) / 60_000);
  return `${name} · WebSocket failed here, tried again ${minutes > 0 ? `in ${minutes} min` : "by the next shell"}`;
}
