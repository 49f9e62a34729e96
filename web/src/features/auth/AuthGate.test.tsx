import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { AuthGate } from "./AuthGate.tsx";
import { session, signOut, signOutEverywhere } from "./session.ts";

const WHO = { subject: "alice", email: "", tier: "", admin: false };
const CONFIG = { mode: "dev", codeRequired: false, providerName: "", failure: null };

/** What each path answers now; a path that is not there does not answer at all. */
let answers: Record<string, [status: number, body: unknown]>;
let calls: string[];

beforeEach(() => {
  calls = [];
  answers = { "/api/whoami": [200, WHO], "/api/auth/config": [200, CONFIG] };
  vi.stubGlobal("fetch", async (path: string) => {
    calls.push(path);
    const answer = answers[path];
    if (!answer) throw new TypeError("Failed to fetch");
    return Response.json(answer[1], { status: answer[0] });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  session.set({ phase: "checking" });
});

async function open() {
  render(<AuthGate>{(who) => <p>hello {who.subject}</p>}</AuthGate>);
  await screen.findByText("hello alice");
  calls.length = 0;
}

it.each([
  ["here", () => signOut(), "/api/auth/logout", "Sign out"],
  ["everywhere", signOutEverywhere, "/api/auth/logout/everywhere", "Sign out everywhere"],
])("says that one is not signed out, and repeats that alone: %s", async (_, leave, path, button) => {
  await open();
  void leave();
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toMatch(/You are not signed out.*did not answer.*still holds your login/);
  expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
  answers[path] = [200, { redirect: "" }];
  fireEvent.click(screen.getByRole("button", { name: button }));
  await screen.findByText("You are signed out.");
  expect(calls).toEqual([path, path, "/api/auth/config"]);
});

it("keeps why the server refused, and its request id", async () => {
  await open();
  answers["/api/auth/logout"] = [503, { error: "E_SHUTTING_DOWN", message: "It stops.", requestId: "r-3" }];
  void signOut();
  expect((await screen.findByRole("alert")).textContent).toMatch(/You are not signed out.*It stops\..*r-3/);
});

it("takes a login that had ended already for ended, and signs nobody in again", async () => {
  await open();
  const no = { error: "E_UNAUTHENTICATED", message: "Sign in first." };
  Object.assign(answers, { "/api/auth/logout/everywhere": [401, no], "/api/whoami": [401, no] });
  answers["/api/auth/dev"] = [200, WHO];
  await signOutEverywhere();
  expect((await screen.findByRole("alert")).textContent).toMatch(/Your sign-in has ended/);
  expect(calls).toEqual(["/api/auth/logout/everywhere", "/api/auth/config"]);
});

it("says that tokens still hold where the logins have ended, and signs nobody in", async () => {
  await open();
  const left = {
    error: "E_AUDIT_UNAVAILABLE",
    message: "Your logins have ended, but access tokens of yours still hold.",
  };
  answers["/api/auth/logout/everywhere"] = [503, left];
  answers["/api/whoami"] = [401, { error: "E_UNAUTHENTICATED", message: "Sign in first." }];
  answers["/api/auth/dev"] = [200, WHO];
  await signOutEverywhere();
  expect((await screen.findByRole("alert")).textContent).toBe(left.message);
  expect(screen.getByRole("button", { name: "Sign in" })).toBeTruthy();
  expect(calls).toEqual(["/api/auth/logout/everywhere", "/api/whoami", "/api/auth/config"]);
});

it.each([
  ["that is there still", [200, WHO] as [number, unknown]],
  ["that nothing is known of", [503, { error: "E_SHUTTING_DOWN", message: "wait" }] as [number, unknown]],
])("takes no login for ended %s", async (_, answer) => {
  await open();
  answers["/api/auth/logout/everywhere"] = [500, { error: "E_INTERNAL", message: "The login could not be ended." }];
  answers["/api/whoami"] = answer;
  await signOutEverywhere();
  expect((await screen.findByRole("alert")).textContent).toMatch(/You are not signed out.*could not be ended/);
});

it("does not sign in again where only the way in could not be shown", async () => {
  await open();
  answers = { "/api/auth/logout": [200, { redirect: "" }], "/api/whoami": [200, WHO], "/api/auth/dev": [200, WHO] };
  void signOut();
  await screen.findByRole("button", { name: "Try again" });
  answers["/api/auth/config"] = [200, CONFIG];
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  await screen.findByText("You are signed out.");
  expect(calls).not.toContain("/api/auth/dev");
});

it("promises no other try where it makes none", async () => {
  answers = {};
  render(<AuthGate>{() => null}</AuthGate>);
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toMatch(/cannot be reached.*then try again/);
  expect(alert.textContent).not.toMatch(/by itself/);
  answers = { "/api/whoami": [200, WHO], "/api/auth/config": [200, CONFIG] };
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  await vi.waitFor(() => expect(session.get().phase).toBe("in"));
});

it("says where the code is, and what helps where the browser that has used it is gone", async () => {
  answers["/api/whoami"] = [401, { error: "E_UNAUTHENTICATED", message: "Sign in first." }];
  answers["/api/auth/config"] = [200, { ...CONFIG, codeRequired: true }];
  render(<AuthGate>{() => null}</AuthGate>);
  expect((await screen.findByText(/one-time code/)).textContent).toMatch(
    /printed last in the terminal.* is gone, start periscope again\.$/,
  );
});
