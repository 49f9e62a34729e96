import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ClipboardGate, NEXT_QUESTION_MS } from "./consent.ts";

function gate({ refuse = false, forbidden = false } = {}) {
  const clipboard: string[] = [];
  const written: number[] = [];
  const host = { refuse, forbidden };
  const made = new ClipboardGate({
    write: async (text) => {
      if (host.refuse) return false;
      clipboard.push(text);
      return true;
    },
    written: (bytes) => written.push(bytes),
    forbidden: () => host.forbidden,
  });
  return { gate: made, clipboard, written, host };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const settled = () => vi.advanceTimersByTimeAsync(0);
const next = () => vi.advanceTimersByTimeAsync(NEXT_QUESTION_MS);

describe("a program that wants the clipboard", () => {
  it("gets nothing before it is allowed, and then once", async () => {
    const { gate: g, clipboard, written } = gate();
    g.ask("naïve");
    await settled();
    expect(clipboard).toEqual([]);
    expect(g.state.get().asked).toEqual({ text: "naïve", bytes: 6, refused: false });
    g.allowOnce();
    await settled();
    expect(clipboard).toEqual(["naïve"]);
    expect(written).toEqual([6]);
    g.ask("again");
    await next();
    expect(clipboard).toEqual(["naïve"]);
    expect(g.state.get()).toMatchObject({ consent: "ask", asked: { bytes: 5 } });
  });

  it("gets what its owner was shown, and is asked about the newest of the rest after that", async () => {
    const { gate: g, clipboard } = gate();
    const shown = () => g.state.get().asked?.text;
    for (const text of ["one", "evil", "two"]) g.ask(text);
    expect(shown()).toBe("one");
    g.allowOnce();
    await settled();
    expect(clipboard).toEqual(["one"]);
    // A second click at once is no answer to a question that nobody has read.
    expect(shown()).toBeUndefined();
    g.ask("three");
    g.allowOnce();
    await next();
    expect(clipboard).toEqual(["one"]);
    expect(shown()).toBe("three");
    g.allowOnce();
    await next();
    expect(clipboard).toEqual(["one", "three"]);
    expect(shown()).toBeUndefined();
  });

  it("gets the newest of what waited, too, where it may always", async () => {
    const { gate: g, clipboard } = gate();
    g.ask("one");
    g.ask("two");
    g.always();
    await next();
    expect(clipboard).toEqual(["one", "two"]);
    expect(g.state.get()).toEqual({ consent: "always", asked: null });
  });

  it("is asked no more once it may always, and what it floods is written as fast as the browser takes it", async () => {
    const { gate: g, clipboard } = gate();
    g.ask("one");
    g.always();
    for (let i = 0; i < 1_000; i++) g.ask(`flood ${i}`);
    await settled();
    expect(clipboard).toEqual(["one", "flood 999"]);
    expect(g.state.get()).toEqual({ consent: "always", asked: null });
  });

  it("never gets it once it was refused", async () => {
    const { gate: g, clipboard } = gate();
    g.ask("one");
    g.never();
    g.ask("two");
    g.allowOnce();
    await settled();
    expect(clipboard).toEqual([]);
    expect(g.state.get()).toEqual({ consent: "never", asked: null });
  });

  it.each(["always", "never"] as const)("is asked again once its owner takes %s back", async (answer) => {
    const { gate: g, clipboard } = gate();
    g[answer]();
    g.askAgain();
    g.ask("one");
    await settled();
    expect(clipboard).toEqual([]);
    expect(g.state.get()).toMatchObject({ consent: "ask", asked: { bytes: 3 } });
  });

  it("is not even asked about where the setting says never", () => {
    const { gate: g } = gate({ forbidden: true });
    g.ask("one");
    expect(g.state.get().asked).toBeNull();
  });

  it("waits for its owner where the browser refuses, and is then written", async () => {
    const { gate: g, clipboard, host } = gate({ refuse: true });
    g.ask("one");
    g.always();
    await settled();
    expect(g.state.get().asked).toMatchObject({ refused: true });
    host.refuse = false;
    g.allowOnce();
    await settled();
    expect(clipboard).toEqual(["one"]);
    expect(g.state.get().asked).toBeNull();
  });

  it("is offered the newest of what the browser refused, and nothing once a newer one is written", async () => {
    const { gate: g, clipboard, host } = gate({ refuse: true });
    g.always();
    g.ask("one");
    await settled();
    g.ask("two");
    await settled();
    expect(g.state.get().asked).toMatchObject({ text: "two", refused: true });
    host.refuse = false;
    g.ask("three");
    await settled();
    expect(clipboard).toEqual(["three"]);
    expect(g.state.get().asked).toBeNull();
  });

  it("is not asked about the same text twice", async () => {
    const { gate: g, clipboard } = gate();
    for (const text of ["one", "two", "one"]) g.ask(text);
    g.allowOnce();
    g.ask("two");
    g.ask("one");
    await next();
    expect(clipboard).toEqual(["one"]);
    expect(g.state.get().asked).toBeNull();
  });
});
