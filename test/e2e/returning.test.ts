import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { address, endShells, focusTerminal, launch, newContext, onScreen, screen, typeLine } from "./browser.ts";
import { CuttableNetwork } from "./wire.ts";

/** Row 10 of docs/performance.md: `make bench` asks for 20 of each; `make test` looks whether it can be measured. */
const ROUNDS = Number(process.env.PERISCOPE_RETURNS ?? 2);

const network = new CuttableNetwork(new URL(address()));
const HERE = `http://localhost:${new URL(address()).port}`;

let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  await network.start();
  browser = await launch([`--host-resolver-rules=MAP localhost:${new URL(address()).port} 127.0.0.1:${network.port}`]);
  context = await newContext(browser, {}, HERE);
  page = await context.newPage();
  // When the same shell was painted again, in milliseconds since the page was asked for.
  await context.addInitScript(() => {
    const look = () => {
      const connected = document.querySelector('[data-testid="shell-state"][data-phase="connected"]');
      const painted = /tick-\d+/.test(document.querySelector(".xterm-rows")?.textContent ?? "");
      if (connected && painted) (window as any).repainted = performance.now();
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.goto("/clusters/demo/pods/tools/toolbox");
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
  await focusTerminal(page);
  await typeLine(page, "i=0; while sleep 0.01; do i=$((i+1)); echo tick-$i; done");
  await onScreen(page, (text) => /tick-\d/.test(text), "the ticks");
});
afterAll(async () => {
  network.set("open");
  await endShells(context);
  await browser.close();
  await network.stop();
});

/** Waits until nothing new comes: what was on its way has arrived. */
async function still(): Promise<void> {
  let last = "";
  await expect
    .poll(
      async () => {
        const before = last;
        last = await screen(page);
        return last === before;
      },
      { interval: 300 },
    )
    .toBe(true);
}

/** From the moment at which the network is back to the first new line on the screen. */
async function afterCut(): Promise<number> {
  network.set("silent");
  await still();
  network.set("open");
  return page.evaluate(
    () =>
      new Promise<number>((done) => {
        const rows = document.querySelector(".xterm-rows");
        const before = rows?.textContent;
        const start = performance.now();
        const look = () => {
          if (rows?.textContent === before) requestAnimationFrame(look);
          else done(performance.now() - start);
        };
        window.dispatchEvent(new Event("online"));
        look();
      }),
  );
}

/** From the moment at which the page is asked for to the same screen. */
async function afterReload(): Promise<number> {
  await page.reload();
  await page.waitForFunction(() => (window as any).repainted !== undefined);
  return page.evaluate(() => (window as any).repainted);
}

async function times(measure: () => Promise<number>): Promise<string> {
  const all: number[] = [];
  for (let i = 0; i < ROUNDS; i++) all.push(await measure());
  all.sort((a, b) => a - b);
  const ms = (at: number) => `${Math.round(all[at] ?? 0)} ms`;
  return `${ms(Math.floor(all.length / 2))} (${ms(0)}–${ms(all.length - 1)}), of ${all.length}`;
}

test("coming back: from the network's return, and from a reload, to the same screen", {
  timeout: 60_000 * (ROUNDS + 1),
}, async () => {
  console.log(`row 10, network back → repainted, median (min–max): ${await times(afterCut)}; target: 300 ms`);
  console.log(`row 10, page reloaded → repainted, median (min–max): ${await times(afterReload)}; target: 300 ms`);
});
