import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  address,
  dock,
  endShells,
  faults,
  focusTerminal,
  type Look,
  launch,
  newContext,
  onScreen,
  screen,
  shot,
  typeLine,
} from "./browser.ts";
import { CuttableNetwork } from "./wire.ts";

const network = new CuttableNetwork(new URL(address()));
/** The server knows its own address alone, so the browser believes to be there. */
const HERE = `http://localhost:${new URL(address()).port}`;

let browser: Browser;
let context: BrowserContext;
let page: Page;
const errors: string[] = [];

beforeAll(async () => {
  await network.start();
  browser = await launch([`--host-resolver-rules=MAP localhost:${new URL(address()).port} 127.0.0.1:${network.port}`]);
});
afterAll(async () => {
  await browser.close();
  await network.stop();
});
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await shot(page, `failed-${task.name.replace(/\W+/g, "-")}`);
  await network.set("open");
  await endShells(context);
  await context.close();
  expect(errors).toEqual([]);
});

async function start(look: Look = {}): Promise<void> {
  context = await newContext(browser, look, HERE);
  page = await newPage();
}

async function newPage(): Promise<Page> {
  const fresh = await context.newPage();
  errors.length = 0;
  fresh.on("pageerror", (error) => errors.push(String(error)));
  await fresh.goto("/clusters/demo/pods/tools/toolbox");
  return fresh;
}

const PROMPT = /[#$] ?$/m;
const tabs = () => dock(page).getByRole("tab");
const pill = () => page.getByTestId("shell-state").first();

async function openShell(): Promise<void> {
  const before = await dock(page).getByRole("tab").count();
  await page.getByRole("button", { name: /^Open shell/ }).first().click();
  await expect.poll(() => dock(page).getByRole("tab").count()).toBe(before + 1);
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
}

/** The shell in view is connected, and the same as before. */
async function resumed(): Promise<void> {
  await expect.poll(() => pill().getAttribute("data-phase"), { timeout: 30_000 }).toBe("connected");
}

const phase = (wanted: string) => expect.poll(() => pill().getAttribute("data-phase"), { timeout: 40_000 }).toBe(wanted);

/** Everything that the terminal in view holds. */
async function buffer(): Promise<string> {
  await dock(page).getByRole("button", { name: "More for this shell" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("menuitem", { name: "Save as a text file" }).click(),
  ]);
  await focusTerminal(page);
  return readFileSync(await download.path(), "utf8");
}

/** What the terminal holds between two lines of the shell's own. */
async function between(from: string, to: string): Promise<string> {
  const text = await buffer();
  return text.slice(text.indexOf(`\n${from}\n`) + from.length + 2, text.indexOf(`\n${to}\n`) + 1);
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A number, and the process that printed it: another shell has another one. */
const COUNTER = "clear; i=0; while sleep 0.05; do i=$((i+1)); echo n-$i-$$; done";

function counted(text: string): { numbers: number[]; shells: Set<string> } {
  const found = [...text.matchAll(/^n-(\d+)-(\d+)$/gm)];
  return { numbers: found.map((m) => Number(m[1])), shells: new Set(found.map((m) => m[2] ?? "")) };
}

/** Every number from the first one on, once, by one shell. */
async function expectWhole(atLeast: number): Promise<void> {
  const { numbers, shells } = counted(await buffer());
  expect(numbers.length).toBeGreaterThan(atLeast);
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  expect(shells.size).toBe(1);
}

const lastNumber = async () => counted(await screen(page)).numbers.at(-1) ?? 0;

test("vim with unsaved text and a counter: a silent network, a reload, a proxy that restarts", { timeout: 240_000 }, async () => {
  await start();
  await openShell();
  await typeLine(page, COUNTER);
  await onScreen(page, (text) => counted(text).numbers.length > 5, "the counter");
  await openShell();
  await typeLine(page, "vim -n -u NONE /tmp/unsaved-$$");
  await onScreen(page, (text) => /^~$/m.test(text), "vim");
  await page.keyboard.type("iunsaved words");
  await onScreen(page, (text) => /^unsaved words$/m.test(text), "the text");

  await network.set("silent");
  await page.keyboard.type(" typed in the dark");
  await phase("reconnecting");
  await page.waitForTimeout(20_000);
  await network.set("open");
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await resumed();
  expect(await pill().textContent()).toBe("same shell resumed");
  await onScreen(page, (text) => /^unsaved words typed in the dark$/m.test(text), "what was typed meanwhile, once");
  await tabs().first().click();
  await resumed();
  const before = await lastNumber();
  await onScreen(page, (text) => (counted(text).numbers.at(-1) ?? 0) > before, "the counter going on");
  await expectWhole(200);

  await tabs().last().click();
  await onScreen(page, (text) => /^unsaved words/m.test(text), "vim in view");
  const vim = await screen(page);
  await page.reload();
  await resumed();
  expect(await tabs().count()).toBe(2);
  await onScreen(page, (text) => text === vim, "vim as it was");
  await focusTerminal(page);
  await page.keyboard.type(" and after");
  await onScreen(page, (text) => /^unsaved words typed in the dark and after$/m.test(text), "more text");
  await tabs().first().click();
  await resumed();
  await expectWhole(before);

  await network.set("refusing");
  await phase("reconnecting");
  await page.getByRole("button", { name: "Reconnect now" }).waitFor();
  await network.set("open");
  await page.getByRole("button", { name: "Reconnect now" }).click();
  await resumed();
  const later = await lastNumber();
  await onScreen(page, (text) => (counted(text).numbers.at(-1) ?? 0) > later, "the counter going on");
  await expectWhole(later);
  await tabs().last().click();
  await focusTerminal(page);
  await page.keyboard.press("Escape");
  await page.keyboard.type(":w");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /written/.test(text), "that vim has written");
  await page.keyboard.type(":!cat %");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^unsaved words typed in the dark and after$/m.test(text), "what vim has written");
});
