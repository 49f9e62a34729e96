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
