/**
 * Row 3 of docs/performance.md as a person at a page has it: from a key to its echo on the screen, quiet and beside `yes` in
 * a neighbour tab of the same cluster, straight and through the agent.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { BrowserContext, Page } from "playwright-core";
import { focusTerminal, onScreen, typeLine } from "./browser.ts";

/** Milliseconds between two keys, whether or not the first was echoed; no multiple of a frame. */
const CADENCE = 53;

/** The demo's cluster twice: as itself, and as one that only its agent reaches. */
const WAYS = { straight: "demo", agent: "edge" } as const;
type Way = keyof typeof WAYS;

/** A tab with a shell, whose screen is empty but for a prompt in its first row. */
async function shell(context: BrowserContext, cluster: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`/clusters/${cluster}/pods/tools/toolbox`);
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
  await focusTerminal(page);
  await typeLine(page, "PS1='> '; clear");
  await onScreen(page, (text) => /^>\n*$/.test(text), "an empty screen");
  await page.evaluate(listen);
  return page;
}

interface Heard {
  pressed: number[];
  took: number[];
}

/** In the page: notes when each x was pressed, by the browser's own stamp, and when the first row shows it. */
function listen(): void {
  const heard: Heard = { pressed: [], took: [] };
  Object.assign(window, { heard });
  addEventListener("keydown", (press) => press.key === "x" && heard.pressed.push(press.timeStamp), true);
  const rows = document.querySelector(".xterm-rows");
  if (!rows) throw new Error("no terminal");
  const shown = () => (rows.firstElementChild?.textContent ?? "").split("x").length - 1;
  new MutationObserver(() => {
    for (const now = performance.now(); heard.took.length < Math.min(shown(), heard.pressed.length); )
      heard.took.push(now - (heard.pressed[heard.took.length] ?? Number.NaN));
  }).observe(rows, { childList: true, subtree: true, characterData: true });
}

const echoed = (page: Page, keys: number) =>
  page.waitForFunction((keys) => (window as unknown as { heard: Heard }).heard.took.length === keys, keys);

/**
 * Types a line, and says how long the echo of each key took to be on the page, in milliseconds; but for that of the first,
 * which waits for the tab to come to the front.
 */
async function type(page: Page, keys: number): Promise<number[]> {
  await page.bringToFront();
  await focusTerminal(page);
  await page.keyboard.press("x");
  await echoed(page, 1);
  const presses: Promise<void>[] = [];
  for (const begun = performance.now(); presses.length < keys; ) {
    await pause(Math.max(0, begun + presses.length * CADENCE - performance.now()));
    presses.push(page.keyboard.press("x"));
  }
  await Promise.all(presses);
  await echoed(page, 1 + keys);
  const took = await page.evaluate(() => (window as unknown as { heard: Heard }).heard.took.splice(0));
  await page.evaluate(() => (window as unknown as { heard: Heard }).heard.pressed.splice(0));
  await page.keyboard.press("Control+KeyU");
  await onScreen(page, (text) => /^>\n*$/.test(text), "an empty line");
  return took.slice(1);
}

/** Runs f while `yes` floods a tab. */
async function beside<T>(tab: Page, f: () => Promise<T>): Promise<T> {
  await tab.bringToFront();
  await focusTerminal(tab);
  await typeLine(tab, "yes");
  await onScreen(tab, (text) => /^y\ny\n/m.test(text), "the flood");
  const got = await f();
  await tab.bringToFront();
  await focusTerminal(tab);
  await tab.keyboard.press("Control+KeyC");
  await onScreen(tab, (text) => />\n*$/.test(text), "the flood's end");
  return got;
}

const quantile = (values: number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

/** A line of the table: p50 and p99 of all keys, and the ratio of the two ways' p50, round by round. */
function report(what: string, runs: Record<Way, number[][]>): string {
  const of = (way: Way) => `${ms(quantile(runs[way].flat(), 0.5))}, ${ms(quantile(runs[way].flat(), 0.99))}`;
  const ratios = runs.agent.map((run, i) => quantile(run, 0.5) / quantile(runs.straight[i] ?? [], 0.5));
  const at = (q: number) => quantile(ratios, q).toFixed(2);
  return `row 3, key → echo on the page, ${what}, p50 and p99: through an agent ${of("agent")}; straight ${of("straight")}; p50s' ratio ${at(0.5)} (${at(0)}–${at(1)})`;
}

/**
 * Measures both ways in turns, so many rounds of so many keys, at most a line of the terminal, and says in a line each
 * what it found. Every key is echoed, or it throws.
 */
export async function typing(context: BrowserContext, rounds: number, keys: number): Promise<string[]> {
  const ways = Object.keys(WAYS) as Way[];
  const typists = { straight: await shell(context, WAYS.straight), agent: await shell(context, WAYS.agent) };
  const floods = { straight: await shell(context, WAYS.straight), agent: await shell(context, WAYS.agent) };
  const quiet: Record<Way, number[][]> = { straight: [], agent: [] };
  const flooded: Record<Way, number[][]> = { straight: [], agent: [] };
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) quiet[way].push(await type(typists[way], keys));
    for (const way of ways) flooded[way].push(await beside(floods[way], () => type(typists[way], keys)));
  }
  return [report("quiet", quiet), report("beside `yes`", flooded)];
}
