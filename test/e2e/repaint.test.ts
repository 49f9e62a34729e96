import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { dock, focusTerminal, launch, leave, newContext, onScreen, shotOfFailure, typeLine } from "./browser.ts";

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

const PROMPT = /[#$] ?$/m;

interface Program {
  name: string;
  start: string;
  /** It has drawn its screen. */
  drawn: RegExp;
  /** Keys after which the terminal's state is not the simplest one. */
  work: string[];
  /** It has answered the last of them; the terminal has so many rows. */
  worked: (text: string, rows: number) => boolean;
  /** Keys that it answers by scrolling and by changing parts of its screen. */
  more: string[];
  /** It has answered the last of these. */
  went: (text: string, rows: number) => boolean;
  /** Draws everything anew, from what the program knows alone. */
  redraw: string;
}

/** vim shows a line that was typed, and is out of its insert mode. */
const typedIn = (line: string) => (text: string) =>
  text.split("\n").some((row) => row.trim() === line) && !text.includes("-- INSERT --");

/** less shows that line at the top, and says so at the bottom. */
const fromLine = (n: number, text: string) =>
  text.startsWith(`line ${n} `) && (text.split("\n").at(-1) ?? "").includes(` lines ${n}-`);

const PROGRAMS: Program[] = [
  {
    name: "vim",
    start: "vim -n -u NONE -c 'set number nowrap showmode mouse=a laststatus=2 | syntax on' /tmp/lines-$$",
    drawn: /^ +1 line 1 /m,
    work: ["2", "0", "G", "Control+E", "o", "typed", "Escape"],
    worked: typedIn("21 typed"),
    more: ["d", "d", "Control+E", "Control+Y", "1", "0", "j", "O", "x", "Escape"],
    went: typedIn("31 x"),
    redraw: "Control+L",
  },
  {
    name: "less",
    start: "less -SM /tmp/lines-$$",
    drawn: /^line 1 /m,
    work: ["Space", "j", "j"],
    worked: (text, rows) => fromLine(1 + (rows - 1) + 2, text),
    more: ["j", "k", "k", "Space", "Space", "b", "k"],
    went: (text, rows) => fromLine(1 + 2 * (rows - 1), text),
    redraw: "r",
  },
  {
    name: "top",
    start: "top -d 600 -p 1,$$",
    drawn: /^ *PID USER/m,
    work: ["1"],
    worked: (text) => /^%Cpu0/m.test(text),
    more: ["c"], // one alone: what comes at once it takes for a single key
    went: (text) => / devcluster-init$/m.test(text), // the whole command, and not its short name
    redraw: "Enter",
  },
];

async function start(program: Program): Promise<string> {
  context = await newContext(browser);
  page = await context.newPage();
  await page.goto("/clusters/demo/pods/tools/toolbox");
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
  await typeLine(page, "seq 500 | sed 's/.*/line & of a longer text/' > /tmp/lines-$$; clear");
  await typeLine(page, program.start);
  await onScreen(page, (text) => program.drawn.test(text), program.name);
  return press(program.work, program.worked);
}

async function press(keys: string[], answered: Program["worked"]): Promise<string> {
  for (const key of keys) {
    if (key.length > 1 && /^[a-z]+$/.test(key)) await page.keyboard.type(key);
    else await page.keyboard.press(key);
  }
  await onScreen(page, (text) => answered(text, text.split("\n").length), `the answer to ${keys.join(" ")}`);
  return calm();
}

/** The screen once it stays the same for a while. */
async function calm(): Promise<string> {
  let last = "";
  let since = Date.now();
  return onScreen(
    page,
    (text) => {
      if (text !== last) since = Date.now();
      last = text;
      return text !== "" && Date.now() - since > 700;
    },
    "a calm screen",
  );
}

/** How it looks, colours and all. */
const looks = () =>
  dock(page)
    .locator(".xterm-rows:visible > div")
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => [cell.className, cell.textContent])));

const connected = () =>
  expect.poll(() => page.getByTestId("shell-state").getAttribute("data-phase"), { timeout: 30_000 }).toBe("connected");

/** Without what changes by itself in a list of processes: figures, and the order of those that do the same. */
const still = (text: string) =>
  text
    .split("\n")
    .map((line) =>
      line
        .replace(/^%Cpu.*/, "%Cpu")
        .replace(/[\d.,:]+/g, "0")
        .replace(/ +/g, " "),
    )
    .map((line) => line.replace(/ [RSD] 0 0 0 /, " S 0 0 0 "))
    .sort()
    .join("\n");

for (const program of PROGRAMS) {
  const alike = program.name === "top" ? still : (text: string) => text;
  test(`${program.name} comes back as it was, and goes on without drawing anew`, async () => {
    const before = await start(program);
    const picture = await looks();
    await page.reload();
    await connected();
    await onScreen(page, (text) => text === before, "the screen as it was");
    expect(await calm()).toBe(before);
    expect(await looks()).toEqual(picture);
    await focusTerminal(page);
    const after = await press(program.more, program.went);
    expect(alike(after)).not.toBe(alike(before));
    expect(alike(await press([program.redraw], program.went))).toBe(alike(after));
  });

  test(`${program.name} is drawn by the program itself where its screen could not be kept`, async () => {
    const before = await start(program);
    await page.evaluate(() => {
      const setItem = Storage.prototype.setItem;
      Storage.prototype.setItem = function (key, value) {
        if (key.startsWith("periscope.screen")) throw new DOMException("full", "QuotaExceededError");
        setItem.call(this, key, value);
      };
    });
    await page.reload();
    await connected();
    await onScreen(page, (text) => alike(text) === alike(before), "the screen, drawn anew");
    expect(alike(await calm())).toBe(alike(before));
    await focusTerminal(page);
    const after = await press(program.more, program.went);
    expect(alike(await press([program.redraw], program.went))).toBe(alike(after));
  });
}
