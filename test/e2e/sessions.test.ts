import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  dock,
  focusTerminal,
  launch,
  leave,
  newContext,
  onScreen,
  screen as screenOf,
  shot,
  shotOfFailure,
  typeLine,
} from "./browser.ts";

let browser: Browser;
let context: BrowserContext;
let page: Page;
const errors: string[] = [];

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

beforeEach(async () => {
  context = await newContext(browser);
  page = await context.newPage();
  errors.length = 0;
  page.on("pageerror", (error) => errors.push(String(error)));
});
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  await leave(context);
  expect(errors).toEqual([]);
});

const PROMPT = /[#$] ?$/m;

/** Waits until no shell of an earlier test is open any more. */
async function noShells(): Promise<void> {
  await expect
    .poll(async () => (await (await page.request.get("/api/exec/sessions")).json()).total, { timeout: 20_000 })
    .toBe(0);
}

/** Opens a shell in the pod of that name, with a reason where the cluster asks for one. The page is not loaded anew. */
async function openShell(at: Page, cluster: string, pod: string, reason = ""): Promise<void> {
  await at.getByRole("link", { name: "Clusters", exact: true }).first().click();
  await at.getByRole("list", { name: "Clusters" }).getByRole("link", { name: cluster }).click();
  await at.getByRole("textbox", { name: "Filter pods" }).fill(pod);
  await at
    .getByRole("row")
    .filter({ hasText: pod })
    .first()
    .getByRole("button", { name: /^Open shell/ })
    .click();
  if (!reason) return;
  const dialog = at.getByRole("dialog", { name: "Open shell" });
  await dialog.getByLabel(/^Why/).fill(reason);
  await dialog.getByRole("button", { name: "Open shell" }).click();
}

const state = (at: Page) => at.getByTestId("shell-state").textContent();

test("a shell is seen in another tab's list and ended there; its own tab says so", async () => {
  await page.goto("/");
  await noShells();
  await openShell(page, "strict", "toolbox", "INC-7: disk full");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  const other = await context.newPage();
  await other.goto("/");
  await other.getByRole("link", { name: "Sessions" }).first().click();
  const row = other.getByRole("row").filter({ hasText: "toolbox" });
  await row.waitFor();
  const words = await row.textContent();
  expect(words).toContain("strict · tools");
  expect(words).toContain("INC-7: disk full");
  expect(words).toContain("dev@local (you)");
  expect(words).toContain("Attached");
  expect(words).not.toContain("in this window");
  await shot(other, "sessions");
  await row.getByRole("button", { name: /^End the shell/ }).click();
  const dialog = other.getByRole("dialog", { name: "End this shell?" });
  await shot(other, "sessions-end");
  await dialog.getByRole("button", { name: "End shell" }).click();
  await other.getByText("No shell is open").waitFor();
  await page.bringToFront();
  await expect.poll(() => state(page)).toContain("closed from the list of sessions");
  expect(await dock(page).textContent()).toContain("You ended this shell");
  await shot(page, "forced-close");
});

test("the list by keyboard: to a row, its end, and back", async () => {
  await page.goto("/");
  await noShells();
  await openShell(page, "demo", "toolbox");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await page.getByRole("link", { name: "Sessions" }).first().click();
  const row = page.getByRole("row").filter({ hasText: "toolbox" });
  await row.waitFor();
  expect(await row.textContent()).toContain("in this window");
  await page.getByRole("table", { name: "Sessions" }).press("j");
  await page.keyboard.press("x");
  const dialog = page.getByRole("dialog", { name: "End this shell?" });
  await dialog.waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("No shell is open").waitFor();
  await expect.poll(() => state(page)).toContain("ended");
});

test("at the limit, one is ended and the wanted one opens by itself", async () => {
  await page.goto("/");
  await noShells();
  await openShell(page, "strict", "toolbox", "the first");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await openShell(page, "demo", "toolbox");
  await expect.poll(async () => (await dock(page).getByRole("tab").count()) === 2).toBe(true);
  await onScreen(page, (text) => PROMPT.test(text), "the second prompt");
  await openShell(page, "strict", "toolbox", "the third");
  const dialog = page.getByRole("dialog", { name: "You are already in 2 shells" });
  await dialog.waitFor();
  expect(await dialog.getByRole("listitem").count()).toBe(2);
  expect(await dialog.textContent()).toMatch(/attached, open \d+s, idle \d+s, in this window/);
  await shot(page, "limit");
  await dialog.getByRole("listitem").filter({ hasText: "demo · tools" }).getByRole("button", { name: /^End/ }).click();
  await onScreen(page, (text) => PROMPT.test(text), "the third prompt");
  await focusTerminal(page);
  await typeLine(page, "clear; echo thi''rd");
  await onScreen(page, (text) => /^third$/m.test(text), "the wanted shell's output");
  expect(
    await dock(page)
      .getByRole("tab", { name: /connected/ })
      .count(),
  ).toBe(2);
});

const countdown = (at: Page) => at.getByTestId("idle-countdown");

test("an idle shell warns with a countdown, stays by a button without typing, and ends at last", async () => {
  await page.goto("/");
  await noShells();
  await openShell(page, "strict", "toolbox", "waiting");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await countdown(page).waitFor({ timeout: 15_000 });
  const seconds = async () => Number(/00:(\d\d)/.exec((await countdown(page).textContent()) ?? "")?.[1]);
  const first = await seconds();
  expect(first).toBeGreaterThan(15);
  expect(first).toBeLessThanOrEqual(25);
  await expect.poll(seconds).toBeLessThan(first);
  expect(await dock(page).getByRole("tab").getAttribute("aria-label")).toContain("ends soon");
  await shot(page, "idle");
  const before = await screenOf(page);
  await page.getByRole("button", { name: "Stay" }).click();
  await expect.poll(() => countdown(page).count()).toBe(0);
  // The next warning comes as late as after something typed, and nothing was.
  await countdown(page).waitFor({ timeout: 15_000 });
  expect(await seconds()).toBeGreaterThan(15);
  expect(await screenOf(page)).toBe(before);
  await focusTerminal(page);
  await page.keyboard.press("Shift");
  expect(await countdown(page).count()).toBe(1);
  await page.keyboard.press("Enter");
  await expect.poll(() => countdown(page).count()).toBe(0);
  await expect.poll(() => state(page), { timeout: 60_000 }).toContain("idle too long");
  await shot(page, "idle-ended");
});

/** Lets the page's own time pass, in steps that leave the server the time to answer its pings. */
async function pass(seconds: number): Promise<void> {
  for (let s = 0; s < seconds; s += 5) {
    await page.clock.runFor(5_000);
    await page.request.get("/healthz");
  }
}

test("a page hidden for long lets go of its silent shells, and comes back to them when it is looked at", async () => {
  await page.clock.install();
  await page.goto("/");
  await noShells();
  await openShell(page, "demo", "toolbox");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
  await typeLine(page, "KEPT=still''-here; clear");
  const hide = (hidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await hide(true);
  await pass(4 * 60);
  await hide(false);
  expect(await state(page)).toContain("connected");
  await hide(true);
  await pass(5 * 60 + 20);
  await expect.poll(() => state(page)).toBe("paused: the page was hidden");
  await shot(page, "hidden");
  const states = async () => {
    const { sessions } = await (await page.request.get("/api/exec/sessions")).json();
    return sessions.map((session: { state: string }) => session.state);
  };
  await expect.poll(states).toEqual(["detached"]);
  await hide(false);
  await expect.poll(() => state(page)).toBe("same shell resumed");
  await typeLine(page, "echo $KEPT");
  await onScreen(page, (text) => /^still-here$/m.test(text), "the same shell");
});

test("a cluster without shells offers none anywhere, and says so", async () => {
  const off = /Shells are switched off for this cluster/;
  await page.goto("/");
  const clusters = page.getByRole("list", { name: "Clusters" });
  await clusters.getByRole("listitem").filter({ hasText: "locked" }).getByText("Shells are off").waitFor();
  await clusters.getByRole("link", { name: "locked" }).click();
  await page.getByRole("link", { name: "toolbox" }).waitFor();
  await page.getByText(off).waitFor();
  const buttons = page.getByRole("button", { name: /^(Open )?shell/i });
  expect(await buttons.count()).toBe(0);
  await page.keyboard.press("j");
  await page.keyboard.press("s");
  await page.locator("[aria-live]").filter({ hasText: off }).waitFor();
  await page.getByRole("link", { name: "toolbox" }).click();
  await page.getByRole("list", { name: "Containers" }).waitFor();
  expect(await page.locator("main").getByText(off).count()).toBe(1);
  expect(await buttons.count()).toBe(0);
  await page.keyboard.press("s");
  await page.keyboard.press("Control+K");
  const palette = page.getByRole("dialog", { name: "Command palette" });
  await page.keyboard.type("toolbox");
  await palette.getByRole("option", { name: /^toolbox/ }).waitFor();
  expect(await palette.textContent()).not.toContain("open a shell there");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("heading", { name: "toolbox" }).first().waitFor();
  expect(await dock(page).count()).toBe(0);
  const refused = await page.evaluate(
    () =>
      new Promise<string>((done) => {
        const at = `${location.origin.replace("http", "ws")}/api/clusters/locked/pods/tools/toolbox/exec`;
        const socket = new WebSocket(at, "v2.exec.periscope");
        socket.onopen = () => socket.send(JSON.stringify({ type: "open" }));
        socket.onmessage = (event) => done(String(event.data));
      }),
  );
  expect(JSON.parse(refused)).toMatchObject({ type: "error", code: "E_EXEC_DISABLED" });
});

test("a cluster that asks why gets an answer of one line, which the list shows", async () => {
  await page.goto("/");
  await noShells();
  await openShell(page, "strict", "toolbox", "line one\nline two");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  const { sessions } = await (await page.request.get("/api/exec/sessions")).json();
  expect(sessions[0].reason).toMatch(/^line one ?line two$/);
});
