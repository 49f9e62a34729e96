import { Terminal } from "@xterm/xterm";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { blinkCursor } from "./cursor.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function blinking(cursorBlink: boolean) {
  const term = new Terminal({ cursorBlink, allowProposedApi: true });
  const host = document.createElement("div");
  const stop = blinkCursor(term, host);
  const isOff = () => host.classList.contains("cursor-off");
  return { term, host, stop, isOff };
}

const focus = (host: HTMLElement, on: boolean) => host.dispatchEvent(new Event(on ? "focusin" : "focusout"));
const typed = (term: Terminal) => new Promise<void>((done) => term.write("x", done));

it("it blinks twice a second, as long as the terminal has the focus", () => {
  const { host, stop, isOff } = blinking(true);
  vi.advanceTimersByTime(600);
  expect(isOff()).toBe(false);
  focus(host, true);
  vi.advanceTimersByTime(600);
  expect(isOff()).toBe(true);
  vi.advanceTimersByTime(500);
  expect(isOff()).toBe(false);
  vi.advanceTimersByTime(500);
  focus(host, false);
  expect(isOff()).toBe(false);
  vi.advanceTimersByTime(600);
  expect(isOff()).toBe(false);
  stop();
  expect(vi.getTimerCount()).toBe(0);
});

it("it shows while somebody types", async () => {
  const { term, host, stop, isOff } = blinking(true);
  focus(host, true);
  vi.advanceTimersByTime(600);
  const written = typed(term);
  await vi.advanceTimersByTimeAsync(1);
  await written;
  expect(isOff()).toBe(false);
  vi.advanceTimersByTime(400);
  expect(isOff()).toBe(false);
  stop();
});

it("it stands still where the setting says so", () => {
  const { term, host, stop, isOff } = blinking(false);
  focus(host, true);
  vi.advanceTimersByTime(600);
  expect(isOff()).toBe(false);
  term.options.cursorBlink = true;
  vi.advanceTimersByTime(500);
  expect(isOff()).toBe(true);
  term.options.cursorBlink = false;
  vi.advanceTimersByTime(500);
  expect(isOff()).toBe(false);
  stop();
});
