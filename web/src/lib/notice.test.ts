import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { notice, notify } from "./notice.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it.each([
  ["a word", "Copied", 2_500],
  ["two sentences", "a".repeat(100), 6_000],
])("stands as long as it takes to read %s", (_, text, ms) => {
  notify(text);
  vi.advanceTimersByTime(ms - 1);
  expect(notice.get()?.text).toBe(text);
  vi.advanceTimersByTime(1);
  expect(notice.get()).toBeNull();
});
