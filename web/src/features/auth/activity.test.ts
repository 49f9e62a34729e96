import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { signedOut } from "../../api/client.ts";
import type { Whoami } from "../../api/types.ts";
import { tellActivity } from "./activity.ts";
import { session } from "./session.ts";

let calls: string[];
let answer: () => Response;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  calls = [];
  answer = () => new Response(null, { status: 204 });
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    calls.push(`${init.method} ${path}`);
    return answer();
  });
  session.set({ phase: "in", who: { subject: "alice" } as Whoami });
  stop = tellActivity();
});
afterEach(() => {
  stop();
  session.set({ phase: "checking" });
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const did = (event: string, at: EventTarget = document.body) => at.dispatchEvent(new Event(event, { bubbles: true }));

it("tells of keys, presses and the wheel, and no more often than it must", async () => {
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(calls).toEqual([]);
  did("keydown");
  did("pointerdown");
  await vi.advanceTimersByTimeAsync(29_999);
  did("keydown");
  expect(calls).toEqual(["POST /api/auth/active"]);
  await vi.advanceTimersByTimeAsync(1);
  did("pointerdown");
  expect(calls).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(30_000);
  did("wheel");
  expect(calls).toHaveLength(3);
});

it.each(["click", "input"])(
  "tells of a %s that comes without a key or a press, as from assistive technology",
  (event) => {
    did(event);
    expect(calls).toEqual(["POST /api/auth/active"]);
  },
);

it("takes no mere movement for activity", () => {
  for (const event of ["pointermove", "mousemove", "scroll", "focus", "visibilitychange"]) did(event);
  expect(calls).toEqual([]);
});

it("sees what a part of the page keeps to itself, as a terminal does", () => {
  const terminal = document.body.appendChild(document.createElement("div"));
  terminal.addEventListener("keydown", (event) => event.stopPropagation());
  did("keydown", terminal);
  terminal.remove();
  expect(calls).toHaveLength(1);
});

it.each(["checking", "out"])("tells nothing while nobody is signed in: %s", (phase) => {
  session.set({ phase } as ReturnType<typeof session.get>);
  did("keydown");
  expect(calls).toEqual([]);
});

it("ends", () => {
  stop();
  did("keydown");
  expect(calls).toEqual([]);
});

it("makes nothing of a failure, and of a lost login what every call does", async () => {
  const before = signedOut.get();
  answer = () => Response.json({ error: "E_INTERNAL", message: "No." }, { status: 500 });
  did("keydown");
  await vi.advanceTimersByTimeAsync(30_000);
  expect(signedOut.get()).toBe(before);
  answer = () => Response.json({ error: "E_UNAUTHENTICATED", message: "Sign in." }, { status: 401 });
  did("keydown");
  await vi.advanceTimersByTimeAsync(0);
  expect(signedOut.get()).toBe(before + 1);
});
