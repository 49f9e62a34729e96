/**
 * A real browser on the real product. `make test` starts the product with the
 * demo's workloads and names it in PERISCOPE_URL.
 */
import { mkdirSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";

export const SHOTS = new URL("./out/", import.meta.url).pathname;

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function address(): string {
  const url = process.env.PERISCOPE_URL;
  if (!url) throw new Error("PERISCOPE_URL is not set; run these tests by: make test");
  return url;
}

export async function launch(): Promise<Browser> {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
}

export interface Look {
  theme?: "light" | "dark";
  width?: number;
  height?: number;
}

/** A fresh browser profile, whose terminal can be read from the page. */
export async function newContext(browser: Browser, look: Look = {}): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: { width: look.width ?? 1440, height: look.height ?? 900 },
    colorScheme: look.theme ?? "light",
    permissions: ["clipboard-read", "clipboard-write"],
    baseURL: address(),
  });
  await context.addInitScript(() => localStorage.setItem("periscope.renderer", "dom"));
  return context;
}

export const dock = (page: Page): Locator => page.getByRole("region", { name: "Terminal dock" });

/** The words on the terminal's screen, its rows joined by line ends. */
export async function screen(page: Page): Promise<string> {
  const rows = await dock(page).locator(".xterm-rows:visible > div").allTextContents();
  return rows.map((row) => row.replace(/\u00a0/g, " ").trimEnd()).join("\n");
}

/** Waits until the terminal's screen satisfies ok. */
export async function onScreen(page: Page, ok: (text: string) => boolean, what: string, limit = 20_000): Promise<string> {
  const deadline = Date.now() + limit;
  for (;;) {
    const text = await screen(page);
    if (ok(text)) return text;
    if (Date.now() > deadline) throw new Error(`not on the screen in time: ${what}\n${text}`);
    await page.waitForFunction(() => new Promise((done) => requestAnimationFrame(() => done(true))));
  }
}

/** Types a line into the terminal that has the focus. */
export async function typeLine(page: Page, line: string): Promise<void> {
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
}

export async function focusTerminal(page: Page): Promise<void> {
  await dock(page).locator(".xterm-helper-textarea:visible, .xterm-helper-textarea").last().focus();
}

/** A picture of the page once nothing on it moves any more. */
export async function shot(page: Page, name: string): Promise<void> {
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((animation) => animation.effect?.getComputedTiming().iterations !== Infinity)
        .map((animation) => animation.finished.catch(() => undefined)),
    ),
  );
  await page.screenshot({ path: `${SHOTS}${name}.png` });
}
