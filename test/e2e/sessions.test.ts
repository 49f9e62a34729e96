import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { dock, focusTerminal, launch, newContext, onScreen, shot, typeLine } from "./browser.ts";

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
  if (task.result?.state === "fail") await shot(page, `failed-${task.name.replace(/\W+/g, "-")}`);
  await context.close();
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
  await at.getByRole("row").filter({ hasText: pod }).first().getByRole("button", { name: /^Open shell/ }).click();
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
  expect(await dock(page).getByRole("tab", { name: /connected/ }).count()).toBe(2);
});
