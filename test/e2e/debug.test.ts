import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  dock,
  focusTerminal,
  type Look,
  launch,
  leave,
  newContext,
  onScreen,
  shot,
  shotOfFailure,
  typeLine,
} from "./browser.ts";

// A pod of the demo whose image holds one program and no shell. It is nobody else's in these tests.
const POD = /^tax-rates-/;
const PROMPT = /[#$] ?$/m;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  await leave(context);
});

async function fresh(look: Look = {}): Promise<void> {
  context = await newContext(browser, look);
  page = await context.newPage();
}

/** The page of a pod without a shell, by mouse from the list. */
async function podPage(): Promise<void> {
  await page.goto("/clusters/demo?namespace=shop&q=tax-rates");
  await page.getByRole("link", { name: POD }).first().click();
  await page.getByRole("list", { name: "Containers" }).waitFor();
}

/** A shell there, which comes to nothing. */
async function noShell(): Promise<void> {
  await podPage();
  await page.getByRole("button", { name: "Open shell", exact: true }).click();
  const item = page.getByRole("menu").getByRole("menuitem", { name: /^rates/ });
  const offer = dock(page).getByRole("button", { name: "Debug container" });
  await item.or(offer).first().waitFor(); // a debug container is one to choose from
  if (await item.isVisible()) await item.click();
  await offer.waitFor();
}

async function debugBy(image: RegExp): Promise<void> {
  await dock(page).getByRole("button", { name: "Debug container" }).click();
  const menu = page.getByRole("menu");
  await menu.waitFor();
  await menu.getByRole("menuitem", { name: image }).click();
}

const header = () => dock(page).getByRole("tabpanel").first();

async function violations(): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const result = await (window as any).axe.run({ exclude: [[".xterm"]] }, { runOnly: ["wcag2a", "wcag2aa"] });
    return result.violations.map((v: any) => `${v.id}: ${v.nodes.map((n: any) => n.target.join(" ")).join(", ")}`);
  });
}

const looks: [string, Look][] = [
  ["light", { theme: "light" }],
  ["dark", { theme: "dark" }],
  ["phone", { theme: "light", width: 360, height: 740 }],
];

test.each(looks)("by mouse alone from a pod without a shell to a prompt beside it (%s)", async (name, look) => {
  await fresh(look);
  await noShell();
  await shot(page, `debug-offer-${name}`);
  expect(await violations()).toEqual([]);
  await debugBy(/debug:1\.0.*default/);
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  expect(await header().textContent()).toContain("debug · rates");
  expect(await dock(page).getByRole("tab").last().getAttribute("aria-label")).toContain("debug · rates");

  await focusTerminal(page);
  await typeLine(
    page,
    "clear; id -u; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'up . rate'; ls -d /proc/*/root/app",
  );
  const all = (text: string) =>
    /^65532$/m.test(text) && /^up 1 rate$/m.test(text) && /^\/proc\/\d+\/root\/app$/m.test(text);
  await onScreen(page, all, "the target's user, process and files");
  await shot(page, `debug-shell-${name}`);
  expect(await violations()).toEqual([]);
});

test("the pod's page offers it beside the container, and uses the one that runs", async () => {
  await fresh();
  await noShell();
  await debugBy(/debug:1\.0/);
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await page.getByRole("button", { name: "Minimise" }).click();
  const cards = page.getByRole("list", { name: "Containers" }).getByRole("listitem");
  const beside = cards
    .filter({ hasText: "debug · rates" })
    .filter({ hasText: "debug:1.0" })
    .filter({ hasText: "Running for" });
  await beside.first().waitFor();
  expect(await beside.count()).toBe(1);
  const name = (await beside.getByRole("heading").textContent()) ?? "";
  await cards.filter({ hasText: "Its image has no shell." }).waitFor();
  await shot(page, "debug-pod");

  await page.getByRole("button", { name: "Debug container for rates" }).click();
  await page.getByRole("menuitem", { name: /debug:1\.0/ }).click();
  await onScreen(page, (text) => PROMPT.test(text), "a second prompt");
  await dock(page).getByRole("button", { name: "About this shell" }).click();
  expect(await page.getByLabel("About this shell").last().textContent()).toContain(name);
  await page.keyboard.press("Escape");
  expect(await beside.count()).toBe(1);

  await page.getByRole("button", { name: `Open shell in ${name}` }).click();
  await onScreen(page, (text) => PROMPT.test(text), "a third prompt");
  expect(await header().textContent()).toContain("debug · rates");
  await page.reload();
  await expect.poll(() => page.getByTestId("shell-state").textContent(), { timeout: 20_000 }).toContain("same shell");
  expect(
    await dock(page)
      .getByRole("tab", { name: /debug · rates/ })
      .count(),
  ).toBe(3);
});

test("an image that cannot be fetched is told in the node's words, and another one helps", async () => {
  await fresh();
  await noShell();
  await debugBy(/missing/);
  const state = page.getByTestId("shell-state");
  // At once it is known to fail where the node has tried before.
  await expect.poll(() => state.textContent(), { timeout: 20_000 }).toMatch(/starting debug container|did not start/);
  await shot(page, "debug-starting");
  await expect.poll(() => state.textContent(), { timeout: 60_000 }).toContain("the debug container did not start");
  const alert = dock(page).getByRole("alert");
  expect(await alert.textContent()).toMatch(/cannot fetch the image.*registry\.invalid\/platform\/missing/);
  await shot(page, "debug-failed");
  expect(await violations()).toEqual([]);

  await dock(page).getByRole("button", { name: "Another image" }).click();
  await page.getByRole("menuitem", { name: /netshoot/ }).click();
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
});
