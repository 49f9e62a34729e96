import { afterEach, describe, expect, it, vi } from "vitest";
import { recheck, session, signIn, signOut, takeCode } from "./session.ts";

const WHO = { subject: "dev@local" };
const NO = { error: "E_UNAUTHENTICATED", message: "Sign in first.", requestId: "r" };

/** Answers by path: what each of the calls gets. */
function serve(answers: Record<string, [status: number, body: unknown]>) {
  const calls: string[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    calls.push(init.body ? `${path} ${init.body}` : path);
    const [status, body] = answers[path] ?? [500, {}];
    return new Response(JSON.stringify(body), { status });
  });
  return calls;
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  session.set({ phase: "checking" });
});

describe("signing in", () => {
  it("takes the code out of the address, once", () => {
    window.history.replaceState(null, "", "/clusters?x=1#code=a%2Fb");
    expect(takeCode(window.location, window.history)).toBe("a/b");
    expect(window.location.href).toMatch(/\/clusters\?x=1$/);
    expect(takeCode(window.location, window.history)).toBe("");
  });

  it("survives a code that is no code", () => {
    window.history.replaceState(null, "", "/#code=%E0%A4%A");
    expect(takeCode(window.location, window.history)).toBe("%E0%A4%A");
    window.history.replaceState(null, "", "/#section");
    expect(takeCode(window.location, window.history)).toBe("");
    expect(window.location.hash).toBe("#section");
  });

  it("exchanges a code", async () => {
    const calls = serve({ "/api/auth/dev": [200, WHO] });
    await signIn("abc");
    expect(session.get()).toEqual({ phase: "in", who: WHO });
    expect(calls).toEqual(['/api/auth/dev {"code":"abc"}']);
  });

  it("goes on with the cookie when an old code is opened again", async () => {
    serve({ "/api/auth/dev": [401, NO], "/api/whoami": [200, WHO] });
    await signIn("used");
    expect(session.get().phase).toBe("in");
  });

  it("enters by itself where no code is needed", async () => {
    serve({
      "/api/whoami": [401, NO],
      "/api/auth/config": [200, { mode: "dev", codeRequired: false, providerName: "", failure: null }],
      "/api/auth/dev": [200, WHO],
    });
    await signIn("");
    expect(session.get().phase).toBe("in");
  });

  it("says what is missing where one is", async () => {
    serve({
      "/api/whoami": [401, NO],
      "/api/auth/dev": [401, { ...NO, message: "This code is used." }],
      "/api/auth/config": [200, { mode: "dev", codeRequired: true, providerName: "", failure: null }],
    });
    await signIn("used");
    expect(session.get()).toMatchObject({ phase: "out", message: "This code is used." });
    await signIn("");
    expect(session.get()).toMatchObject({ phase: "out", message: "" });
  });

  it("tells a failure from a refusal", async () => {
    serve({ "/api/whoami": [503, { error: "E_SHUTTING_DOWN", message: "wait" }] });
    await signIn("");
    expect(session.get().phase).toBe("failed");
  });

  it("asks once, however many answers say that the login is over", async () => {
    const calls = serve({
      "/api/whoami": [401, NO],
      "/api/auth/config": [200, { mode: "oidc", codeRequired: false, providerName: "Okta", failure: null }],
    });
    session.set({ phase: "in", who: WHO as never });
    await Promise.all([recheck(), recheck(), recheck()]);
    expect(calls.sort()).toEqual(["/api/auth/config", "/api/whoami"]);
    expect(session.get()).toMatchObject({ phase: "out", message: expect.stringContaining("has ended") });
  });

  it("keeps why a sign-in at the provider failed", async () => {
    const failure = { message: "You are in none of the groups.", requestId: "r1" };
    serve({
      "/api/whoami": [401, NO],
      "/api/auth/config": [200, { mode: "oidc", codeRequired: false, providerName: "Okta", failure }],
    });
    await signIn("");
    expect(session.get()).toMatchObject({ phase: "out", failure });
  });

  it("ends the login at the provider as well", async () => {
    const assign = vi.fn();
    serve({ "/api/auth/logout": [200, { redirect: "https://login.example/end" }] });
    await signOut({ assign });
    expect(assign).toHaveBeenCalledWith("https://login.example/end");
  });
});

describe("a login that becomes another's in another tab", () => {
  const alice = { subject: "alice", email: "", tier: "read", admin: false };
  let now = 0;
  let stop = () => {};
  afterEach(() => stop());

  /** A page of alice's, that has asked nothing before; what becomes of the login is what the server answers from now on. */
  async function page(answer: [status: number, body: unknown]) {
    vi.resetModules();
    const { followLogin, recheck, session, signIn } = await import("./session.ts");
    const { askWho } = await import("../../api/login.ts");
    const calls = serve({
      "/api/whoami": answer,
      "/api/auth/config": [200, { mode: "oidc", codeRequired: false, providerName: "Okta", failure: null }],
    });
    vi.spyOn(performance, "now").mockImplementation(() => now);
    session.set({ phase: "in", who: alice as never });
    const reload = vi.fn();
    stop = followLogin({ reload });
    return { calls, reload, session, askWho, recheck, signIn };
  }
  const settle = () => new Promise((resolve) => setTimeout(resolve));

  it.each([
    ["another person", { subject: "bob" }],
    ["another tier", { tier: "admin" }],
    ["the administrator's flag", { admin: true }],
  ])("loads the page anew on coming back to it: %s", async (_, change) => {
    const { reload, session } = await page([200, { ...alice, ...change }]);
    window.dispatchEvent(new Event("focus"));
    await vi.waitFor(() => expect(reload).toHaveBeenCalledTimes(1));
    // One that stays, to finish a copy, says whose it is and is not asked for ever.
    expect(session.get()).toMatchObject({ phase: "in", who: change });
    now += 60_000;
    window.dispatchEvent(new Event("focus"));
    await settle();
    expect(reload).toHaveBeenCalledTimes(1);
  });

  it("uses the answer that a shell without a connection asked for", async () => {
    const { reload, askWho } = await page([200, { ...alice, subject: "bob" }]);
    askWho();
    await vi.waitFor(() => expect(reload).toHaveBeenCalled());
  });

  it("draws nothing anew where it is the same, and asks rarely", async () => {
    const { calls, reload, session } = await page([200, { ...alice, expiresAt: "2026-01-10T12:00:00Z" }]);
    const drawn = vi.fn();
    const unwatch = session.watch(drawn);
    document.dispatchEvent(new Event("visibilitychange"));
    window.dispatchEvent(new Event("focus"));
    await settle();
    now += 3_000;
    window.dispatchEvent(new Event("focus"));
    await settle();
    unwatch();
    expect(calls).toEqual(["/api/whoami", "/api/whoami"]);
    expect(drawn).not.toHaveBeenCalled();
    expect(reload).not.toHaveBeenCalled();
  });

  it("leaves everything as it is where the server does not say", async () => {
    const { calls, reload, session } = await page([503, { error: "E_SHUTTING_DOWN", message: "wait" }]);
    window.dispatchEvent(new Event("focus"));
    await settle();
    expect(calls).toHaveLength(1);
    expect(session.get()).toEqual({ phase: "in", who: alice });
    expect(reload).not.toHaveBeenCalled();
  });

  it("asks nothing out of sight, or where nobody is signed in", async () => {
    const { calls, session } = await page([200, alice]);
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    document.dispatchEvent(new Event("visibilitychange"));
    hidden.mockReturnValue(false);
    session.set({ phase: "checking" });
    window.dispatchEvent(new Event("focus"));
    await settle();
    expect(calls).toEqual([]);
  });

  it("loads the page anew where a refused call finds another person", async () => {
    const { reload, recheck } = await page([200, { ...alice, subject: "bob" }]);
    await recheck();
    expect(reload).toHaveBeenCalledTimes(1);
  });

  it("loads the page anew where the other person is found only after a failure, or after the way in", async () => {
    const answer: [status: number, body: unknown] = [503, { error: "E_SHUTTING_DOWN", message: "wait" }];
    const { reload, session, recheck, signIn } = await page(answer);
    await recheck();
    expect(session.get().phase).toBe("failed");
    answer.splice(0, 2, 200, { ...alice, expiresAt: "2026-01-10T12:00:00Z" });
    await signIn("");
    expect(reload).not.toHaveBeenCalled();
    answer.splice(0, 2, 401, NO);
    await recheck();
    expect(session.get().phase).toBe("out");
    answer.splice(0, 2, 200, { ...alice, subject: "bob" });
    await signIn("");
    expect(session.get()).toMatchObject({ phase: "in", who: { subject: "bob" } });
    expect(reload).toHaveBeenCalledTimes(1);
  });
});
