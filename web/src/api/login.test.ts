import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

let login: typeof import("./login.ts");
let who: string;
let calls: number;

beforeEach(async () => {
  vi.useFakeTimers();
  // One that has asked nothing before.
  vi.resetModules();
  login = await import("./login.ts");
  who = "alice";
  calls = 0;
  vi.stubGlobal("fetch", () => {
    calls++;
    return Promise.resolve(Response.json({ subject: who }));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe("whose login it is", () => {
  it("is asked at once, and once more for all who ask soon after", async () => {
    login.askWho();
    login.askWho();
    await pass(0);
    expect(login.toldWho.get()).toEqual({ subject: "alice" });
    who = "bob";
    for (let i = 0; i < 5; i++) {
      login.askWho();
      await pass(500);
    }
    expect(calls).toBe(1);
    await pass(500);
    expect(login.toldWho.get()).toEqual({ subject: "bob" });
    await pass(10_000);
    expect(calls).toBe(2);
    login.askWho();
    expect(calls).toBe(3);
  });

  it("is asked once by all who ask before there is an answer", async () => {
    login.askWho();
    login.askWho();
    await pass(10_000);
    expect(calls).toBe(1);
  });

  it("is not asked after the page has stopped to follow it", async () => {
    login.askWho();
    await pass(0);
    login.askWho();
    login.stopAsking();
    await pass(10_000);
    expect(calls).toBe(1);
    login.askWho();
    expect(calls).toBe(2);
  });
});
