import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  address,
  dock,
  focusTerminal,
  launch,
  leave,
  newContext,
  onScreen,
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
  await page.goto("/");
  await page.getByRole("list", { name: "Clusters" }).waitFor();
  await page.request.delete("/api/auth/tokens");
});
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  await leave(context);
  expect(errors).toEqual([]);
});

/** As a script would ask: no cookie, no page. */
async function script(secret: string, path: string, init: RequestInit = {}): Promise<{ status: number; body: any }> {
  const answer = await fetch(new URL(path, address()), {
    ...init,
    headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
  });
  expect(answer.headers.get("set-cookie")).toBeNull();
  return { status: answer.status, body: await answer.json() };
}

/** Makes a token by hand and returns it as the page shows it. */
async function make(name: string, scopes: string[], clusters: string[] = []): Promise<string> {
  await page.getByRole("button", { name: "New token" }).click();
  const dialog = page.getByRole("dialog", { name: "New access token" });
  await dialog.getByLabel("Name").fill(name);
  for (const scope of scopes) await dialog.getByRole("checkbox", { name: new RegExp(`^${scope}`) }).check();
  if (clusters.length > 0) await dialog.getByLabel("Only these").check();
  for (const cluster of clusters) await dialog.getByLabel(cluster).check();
  await dialog.getByRole("button", { name: "Make token" }).click();
  const secret = (await page.getByTestId("new-token").textContent()) ?? "";
  expect(secret).toMatch(/^psc_[0-9A-Za-z]{49}$/);
  return secret;
}

async function openTokens(): Promise<void> {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Access tokens" }).click();
  await page.getByRole("heading", { name: "Access tokens" }).waitFor();
}

test("a token is made, works as its owner, and is revoked", async () => {
  await openTokens();
  await page.getByText("You have no token").waitFor();
  const secret = await make("deploy-bot", [], ["demo"]);
  await page.getByRole("button", { name: "Copy token" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
  await page.getByRole("button", { name: "Done" }).click();
  const row = page.getByRole("row").filter({ hasText: "deploy-bot" });
  await row.waitFor();
  expect(await row.textContent()).toMatch(/Read.*demo.*never.*in 30d/);
  expect(await page.content()).not.toContain(secret);

  const clusters = await script(secret, "/api/clusters");
  expect(clusters.body.clusters.map((cluster: any) => cluster.name)).toEqual(["demo"]);
  expect((await script(secret, "/api/clusters/demo/pods?limit=1")).status).toBe(200);
  const elsewhere = await script(secret, "/api/clusters/strict/pods");
  expect([elsewhere.status, elsewhere.body.message]).toEqual([403, expect.stringContaining("limited to demo")]);
  const shell = await script(secret, "/api/clusters/demo/pods/tools/toolbox/exec");
  expect([shell.status, shell.body.message]).toEqual([403, expect.stringContaining("lacks the scope exec")]);
  const more = { method: "POST", body: JSON.stringify({ name: "more", scopes: ["read"], lifetimeSeconds: 60 }) };
  expect((await script(secret, "/api/auth/tokens", more)).status).toBe(403);
  await page.reload();
  await expect.poll(() => row.textContent()).toMatch(/\ds ago.*\ds ago/);

  await row.getByRole("button", { name: "Revoke deploy-bot" }).click();
  const dialog = page.getByRole("dialog", { name: "Revoke deploy-bot?" });
  await dialog.getByRole("button", { name: "Revoke", exact: true }).click();
  await page.getByText("You have no token").waitFor();
  const gone = await script(secret, "/api/clusters");
  expect([gone.status, gone.body.error]).toEqual([401, "E_UNAUTHENTICATED"]);
});

test("the dialog by keyboard, and a name that is taken", async () => {
  await page.goto("/account/tokens");
  await page.getByRole("button", { name: "New token" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "New access token" });
  await dialog.getByLabel("Name").and(page.locator(":focus")).waitFor();
  await page.keyboard.type("by-keys");
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => (document.activeElement as HTMLInputElement).checked)).toBe(true);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await page.getByTestId("new-token").waitFor();
  await page.keyboard.press("Escape");
  const row = page.getByRole("row").filter({ hasText: "by-keys" });
  expect(await row.textContent()).toMatch(/ReadShells/);
  await page.getByRole("button", { name: "New token" }).click();
  await dialog.getByLabel("Name").fill("by-keys");
  await dialog.getByRole("alert").filter({ hasText: "You have a token of this name" }).waitFor();
  expect(await dialog.getByRole("button", { name: "Make token" }).isDisabled()).toBe(true);
});

test("own sessions: another browser is seen and ended, with its shell", async () => {
  const elsewhere = await browser.newContext({
    baseURL: address(),
    // No other test comes with this one.
    userAgent:
      "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
  });
  try {
    const phone = await elsewhere.newPage();
    await phone.goto("/clusters/demo/pods/tools/toolbox");
    await phone
      .getByRole("button", { name: /^Open shell/ })
      .first()
      .click();
    await expect.poll(() => phone.getByTestId("shell-state").textContent(), { timeout: 20_000 }).toContain("connected");
    await page.goto("/account/sessions");
    const row = page
      .getByRole("list", { name: "Browsers" })
      .getByRole("listitem")
      .filter({ hasText: "Chrome 141 on Android" });
    await row.waitFor();
    await page.getByRole("table", { name: "Sessions" }).getByText("toolbox").first().waitFor();
    await row.getByRole("button", { name: /^End the login/ }).click();
    await page.getByRole("dialog", { name: "End this login?" }).getByRole("button", { name: "End login" }).click();
    await expect.poll(() => row.count()).toBe(0);
    await expect
      .poll(() => phone.getByTestId("shell-state").textContent(), { timeout: 20_000 })
      .toMatch(/signed out|login|ended/);
  } finally {
    await elsewhere.close();
  }
});

test("signing out everywhere revokes the tokens and ends the shells", async () => {
  await openTokens();
  const secret = await make("laptop", ["Shells"]);
  await page.getByRole("button", { name: "Done" }).click();
  await page.goto("/clusters/demo/pods/tools/toolbox");
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
  await focusTerminal(page);
  await typeLine(page, "echo he''re");
  await onScreen(page, (text) => /^here$/m.test(text), "the output");
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out everywhere…" }).click();
  const dialog = page.getByRole("dialog", { name: "Sign out everywhere?" });
  await dialog.getByText("1 access token is revoked").waitFor();
  await dialog.getByText("1 shell ends").waitFor();
  await dialog.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.getByText("You are signed out.").waitFor();
  expect(await dock(page).count()).toBe(0);
  expect((await script(secret, "/api/whoami")).status).toBe(401);
});
