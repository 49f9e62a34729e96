import { expect, test } from "vitest";
import { transportText } from "./transport.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");

test.each([
  ["ws", "closed", "", "WebSocket"],
  ["spdy", "closed", "", "SPDY"],
  ["spdy", "", "", "SPDY"], // a server before the breaker
  ["spdy", "open", "", "SPDY"],
  ["spdy", "open", "no time", "SPDY"],
  ["spdy", "open", "2026-01-02T03:31:06Z", "SPDY · WebSocket failed here, tried again in 28 min"],
  ["spdy", "open", "2026-01-02T03:04:06Z", "SPDY · WebSocket failed here, tried again in 1 min"],
  ["spdy", "open", "2026-01-02T03:04:05Z", "SPDY · WebSocket failed here, tried again by the next shell"],
  ["ws", "open", "2026-01-02T03:31:06Z", "WebSocket"],
  ["quic", "closed", "", "quic"],
  ["", "", "", "–"],
])("transport %s with the breaker %s until %s is told as %s", (transport, circuitBreaker, webSocketRetryAt, want) => {
  expect(transportText({ transport, circuitBreaker, webSocketRetryAt }, NOW)).toBe(want);
});
