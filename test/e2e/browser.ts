/**
 * A real browser on the real product. `make test` starts the product with the
 * demo's workloads and names it in PERISCOPE_URL.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { type Browser, type BrowserContext, type CDPSession, chromium, type Locator, type Page } from "playwright-core";

/** The widths that pages are looked at in, px. */
export const NARROW = 360;
export const WIDE = 1440;

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

export async function launch(more: string[] = []): Promise<Browser> {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...ARGS, ...more] });
}

type Theme = "light" | "dark";

export interface Look {
  theme?: Theme;
  width?: number;
  height?: number;
  /** Asks before a risky paste, as it does unless somebody turned it off. Tests of anything else paste without a word. */
  pasteWarning?: boolean;
  /** A phone: touch, and no mouse. */
  touch?: boolean;
}

/** A fresh browser profile, whose terminal can be read from the page. */
export async function newContext(browser: Browser, look: Look = {}, baseURL = address()): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: { width: look.width ?? 1440, height: look.height ?? 900 },
    colorScheme: look.theme ?? "light",
    hasTouch: look.touch ?? false,
    isMobile: look.touch ?? false,
    permissions: ["clipboard-read", "clipboard-write"],
    baseURL,
  });
  await context.addInitScript(
    (warning) => {
      localStorage.setItem("periscope.renderer", "dom");
      if (localStorage.getItem("periscope.pasteWarning") === null)
        localStorage.setItem("periscope.pasteWarning", warning);
    },
    String(look.pasteWarning ?? false),
  );
  return context;
}

/**
 * Closes the pages of this browser and ends the shells of whoever it is: a page that closes leaves them to the server for
 * a while, and one that stays may open the next, a file that is its turn for instance.
 */
export async function endShells(context: BrowserContext): Promise<void> {
  for (const page of context.pages()) await page.close();
  const answer = await context.request.get("/api/exec/sessions");
  if (!answer.ok()) return; // nobody is signed in, and a shell stands on a login
  const { sessions } = await answer.json();
  const own = sessions.filter((session: { own: boolean }) => session.own);
  for (const { sessionId } of own) await context.request.delete(`/api/exec/sessions/${sessionId}`);
}

/** The end of a test's browser profile and of the shells in it. */
export async function leave(context: BrowserContext): Promise<void> {
  try {
    await endShells(context);
  } finally {
    await context.close();
  }
}

export const dock = (page: Page): Locator => page.getByRole("region", { name: "Terminal dock" });

/** The words on the terminal's screen, its rows joined by line ends. */
export async function screen(page: Page): Promise<string> {
  const rows = await dock(page).locator(".xterm-rows:visible > div").allTextContents();
  return rows.map((row) => row.replace(/\u00a0/g, " ").trimEnd()).join("\n");
}

/**
 * Runs in the page: waits for something on it to change, and a moment more for what changes with it. To look again each
 * frame would keep a processor busy. What changed just before is seen a tenth of a second late.
 */
function nextChange(): Promise<void> {
  return new Promise((done) => {
    const watcher = new MutationObserver(() => setTimeout(end, 20));
    const late = setTimeout(end, 100);
    function end(): void {
      watcher.disconnect();
      clearTimeout(late);
      done();
    }
    watcher.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}

/** What the dock says beside its terminals: how the shells are, and why one ended. */
async function words(page: Page): Promise<string> {
  const said = dock(page).locator("[data-testid=shell-state], [role=status], [role=alert]");
  return (await said.allInnerTexts()).join("\n");
}

/** Waits until the terminal's screen satisfies ok; `read` reads it, where more than one shows. */
export async function onScreen(
  page: Page,
  ok: (text: string) => boolean,
  what: string,
  limit = 20_000,
  read: () => Promise<string> = () => screen(page),
): Promise<string> {
  const deadline = Date.now() + limit;
  for (;;) {
    const text = await read();
    if (ok(text)) return text;
    if (Date.now() > deadline)
      throw new Error(`not on the screen in time: ${what}\n${text}\n${await words(page).catch(() => "")}`);
    await page.evaluate(nextChange);
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe looks for: of all it takes, the contrast of colours is two thirds of the work. */
const RULES = {
  all: { runOnly: ["wcag2a", "wcag2aa"] },
  colours: { runOnly: ["color-contrast"] },
  "all but colours": { runOnly: ["wcag2a", "wcag2aa"], rules: { "color-contrast": { enabled: false } } },
};

/** What is wrong with the page as it stands: axe's findings, one line a rule, and scrolling sideways. */
export async function faults(page: Page, rules: keyof typeof RULES | "nothing" = "all"): Promise<string[]> {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  const sideways = wide ? ["the page scrolls sideways"] : [];
  if (rules === "nothing") return sideways;
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const found: string[] = await page.evaluate(async (rules) => {
    // What fades in meanwhile has colours of its own.
    const still = new CSSStyleSheet();
    still.replaceSync("*, *::before, *::after { animation: none !important; transition: none !important }");
    document.adoptedStyleSheets.push(still);
    // The terminal's own cells are xterm's business; its colours are checked by unit tests.
    const result = await (window as any).axe.run({ exclude: [[".xterm"]] }, { ...rules, resultTypes: ["violations"] });
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== still);
    return result.violations.map((v: any) => `${v.id}: ${v.nodes.map((n: any) => n.target.join(" ")).join(", ")}`);
  }, RULES[rules]);
  return [...found, ...sideways];
}

/**
 * Types a line into the terminal that has the focus: its first letter and Enter by keys, and what is between at once, as
 * a phone's keyboard does, since each key costs the browser a picture.
 */
export async function typeLine(page: Page, line: string): Promise<void> {
  await page.keyboard.type(line.slice(0, 1));
  await page.keyboard.insertText(line.slice(1));
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
  const devtools = devtoolsOf.get(page) ?? page.context().newCDPSession(page);
  devtoolsOf.set(page, devtools);
  // It is looked at and thrown away: to compress it well takes as long as to draw it.
  const picture = await (await devtools).send("Page.captureScreenshot", { format: "png", optimizeForSpeed: true });
  await writeFile(`${SHOTS}${name}.png`, picture.data, "base64");
}

/** A picture of the page of a test that failed. Where there is none to make, all that follows is done as well. */
export async function shotOfFailure(task: Task, page: Page, more = ""): Promise<void> {
  if (task.result?.state !== "fail") return;
  await shot(page, `failed-${task.name.replace(/\W+/g, "-")}${more}`).catch((error) =>
    console.log(`no picture of ${task.name}: ${error}`),
  );
}

interface Task {
  name: string;
  result?: { state: string };
}

/** The themes differ in nothing but colours, and a narrow window has its colours in common with a wide one. */
const LOOKED_FOR = {
  light: { wide: "all", narrow: "all but colours" },
  dark: { wide: "colours", narrow: "nothing" },
} as const;

const devtoolsOf = new WeakMap<Page, Promise<CDPSession>>();

/** Pictures of the page as it stands, in the light and in the dark. */
export async function pictures(page: Page, name: string, width: number, each = async (_: Theme) => {}): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    await page.locator(`html[data-theme=${theme}]`).waitFor();
    await shot(page, `${name}-${theme}-${width}`);
    await each(theme);
  }
}

/** The same, and what is wrong with it. */
export async function looks(page: Page, name: string, width: number): Promise<string[]> {
  const found: string[] = [];
  await pictures(page, name, width, async (theme) => {
    const wrong = await faults(page, LOOKED_FOR[theme][width === NARROW ? "narrow" : "wide"]);
    found.push(...wrong.map((fault) => `${theme}, ${width} px: ${fault}`));
  });
  return found;
}
