import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hiddenEnding } from "./ending.ts";
import { Silence } from "./hidden.ts";
import { IdleBanner } from "./IdleBanner.tsx";
import { endAllShells } from "./restore.ts";
import { activeShell, dock, openShell } from "./store.ts";
import { watchHidden } from "./watch.ts";

const MINUTE = 60_000;

describe("silence in a hidden page", () => {
  it("ends what was silent for the limit, and nothing else", () => {
    const quiet = { lastActivity: 0 };
    const busy = { lastActivity: 0 };
    const silence = new Silence(5 * MINUTE, 0);
    for (let now = MINUTE; now < 5 * MINUTE; now += MINUTE) {
      busy.lastActivity = now - 1_000;
      expect(silence.look([quiet, busy], now)).toEqual([]);
    }
    expect(silence.look([quiet, busy], 5 * MINUTE)).toEqual([quiet]);
    // 1 s before the last look of the loop, and nothing since.
    expect(silence.look([busy], 9 * MINUTE - 1_001)).toEqual([]);
  });

  it("begins to count when something happened last", () => {
    const shell = { lastActivity: 0 };
    const silence = new Silence(2 * MINUTE, 0);
    shell.lastActivity = 50_000;
    expect(silence.look([shell], MINUTE)).toEqual([]);
    expect(silence.look([shell], 2 * MINUTE)).toEqual([]);
    expect(silence.look([shell], 2 * MINUTE + 49_999)).toEqual([]);
    expect(silence.look([shell], 2 * MINUTE + 50_000)).toEqual([shell]);
  });

  it("does not count sleep: waking up after a night ends nothing", () => {
    const shell = { lastActivity: 0 };
    const silence = new Silence(5 * MINUTE, 0);
    expect(silence.look([shell], MINUTE)).toEqual([]);
    expect(silence.look([shell], 8 * 60 * MINUTE)).toEqual([]);
    expect(silence.look([shell], 8 * 60 * MINUTE + MINUTE)).toEqual([]);
    expect(silence.look([shell], 8 * 60 * MINUTE + 3 * MINUTE)).toEqual([shell]);
  });

  it("takes a clock that was set for no time at all", () => {
    const shell = { lastActivity: 10 * MINUTE };
    const silence = new Silence(MINUTE, 10 * MINUTE);
    expect(silence.look([shell], 2 * MINUTE)).toEqual([]);
    expect(silence.look([shell], 2 * MINUTE + 30_000)).toEqual([]);
    expect(silence.look([shell], 3 * MINUTE)).toEqual([shell]);
  });
});

function hide(hidden: boolean): void {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}

function open() {
  openShell({ cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "" });
  const shell = activeShell(dock.get());
  if (!shell) throw new Error("no shell");
  return shell;
}

describe("a hidden page", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    endAllShells();
    hide(false);
    vi.useRealTimers();
  });

  it("closes its silent shells in time where they cannot wait, and says so to whoever comes back", () => {
    const shell = open();
    const stop = watchHidden(300);
    vi.advanceTimersByTime(20 * MINUTE);
    expect(shell.live).toBe(true);
    hide(true);
    vi.advanceTimersByTime(5 * MINUTE - 1);
    expect(shell.live).toBe(true);
    vi.advanceTimersByTime(15_000);
    expect(shell.state.get()).toMatchObject({ phase: "ended", ending: hiddenEnding(300) });
    expect(shell.state.get().ending?.detail).toContain("hidden for 5 minutes");
    stop();
  });

  it("keeps them when it is looked at in between, when it is to keep them, and when it is told to stop", () => {
    const shell = open();
    const stop = watchHidden(300);
    for (let i = 0; i < 5; i++) {
      hide(true);
      vi.advanceTimersByTime(4 * MINUTE);
      hide(false);
    }
    expect(shell.live).toBe(true);
    stop();
    watchHidden(0);
    hide(true);
    vi.advanceTimersByTime(60 * MINUTE);
    expect(shell.live).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the idle banner", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    endAllShells();
    vi.useRealTimers();
  });

  it("counts down, and stays by a button", () => {
    const shell = open();
    const stay = vi.spyOn(shell, "stay");
    render(<IdleBanner shell={shell} />);
    expect(screen.queryByRole("status")).toBeNull();
    act(() => shell.state.set({ ...shell.state.get(), idleUntil: Date.now() + 30_000 }));
    expect(screen.getByTestId("idle-countdown").textContent).toContain("00:30");
    act(() => vi.advanceTimersByTime(12_000));
    expect(screen.getByTestId("idle-countdown").textContent).toContain("00:18");
    act(() => vi.advanceTimersByTime(60_000));
    expect(screen.getByTestId("idle-countdown").textContent).toContain("00:00");
    fireEvent.click(screen.getByRole("button", { name: "Stay" }));
    expect(stay).toHaveBeenCalledOnce();
    act(() => shell.state.set({ ...shell.state.get(), idleUntil: null }));
    expect(screen.queryByRole("status")).toBeNull();
  });
});
