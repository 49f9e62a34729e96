import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  dock,
  focusTerminal,
  type Look,
  launch,
  leave,
  looks,
  NARROW,
  newContext,
  onScreen,
  screen,
  shot,
  shotOfFailure,
  typeLine,
  WIDE,
} from "./browser.ts";

let browser: Browser;
let context: BrowserContext;
let page: Page;
const errors: string[] = [];

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  await leave(context);
  expect(errors).toEqual([]);
});

const eventually = <T>(what: () => T) => expect.poll(what, { timeout: 20_000 });

async function start(look: Look = {}): Promise<void> {
  context = await newContext(browser, look);
  page = await context.newPage();
  errors.length = 0;
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto("/clusters/demo/pods/tools/toolbox");
}

const PROMPT = /[#$] ?$/m;

/** Opens one more shell in the pod that the page shows, and waits for its prompt. */
async function openShell(): Promise<void> {
  const before = await dock(page).getByRole("tab").count();
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await eventually(() => dock(page).getByRole("tab").count()).toBe(before + 1);
  await dock(page)
    .getByRole("tab", { name: /, connected/ })
    .nth(before)
    .waitFor();
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
}

const tabs = () => dock(page).getByRole("tab");
const panes = () => dock(page).getByRole("tabpanel");

/** Names the newest tab. */
async function call(name: string): Promise<void> {
  await tabs().last().dblclick();
  await page.getByRole("textbox", { name: "Name of this tab" }).fill(name);
  await page.keyboard.press("Enter");
  await tabs().filter({ hasText: name }).waitFor();
}

/** Shells by these names, the last one in view. */
async function openShells(...names: string[]): Promise<void> {
  for (const name of names) {
    await openShell();
    await call(name);
  }
}

async function inPane(pane: Locator): Promise<string> {
  const rows = await pane.locator(".xterm-rows > div").allTextContents();
  return rows.map((row) => row.replace(/\u00a0/g, " ").trimEnd()).join("\n");
}

/** Types into one of two panes and waits for what it says. */
async function ask(pane: Locator, line: string, ok: (text: string) => boolean): Promise<string> {
  await pane.locator(".xterm").click();
  await typeLine(page, line);
  return onScreen(page, ok, line, 20_000, () => inPane(pane));
}

let asked = 0;

/** The size of its terminal as the program in a pane knows it: rows, columns. */
async function sizeIn(pane: Locator): Promise<[number, number]> {
  const size = new RegExp(`^size-${++asked}=(\\d+) (\\d+)=$`, "m");
  const found = size.exec(await ask(pane, `clear; echo "size-${asked}=$(stty size)="`, (text) => size.test(text)));
  return [Number(found?.[1]), Number(found?.[2])];
}

/** The classes of what the keyboard is for. */
const focused = () => page.evaluate(() => document.activeElement?.className);

const clipboard = () => page.evaluate(() => navigator.clipboard.readText());

async function paste(text: string): Promise<void> {
  await page.evaluate((value) => navigator.clipboard.writeText(value), text);
  await page.keyboard.press("Control+Shift+V");
}

/** What programs do with OSC 52. */
const setClipboard = (text: string) => `printf '\\033]52;c;%s\\a' ${Buffer.from(text).toString("base64")}`;

/** The page as another window or tab covers it, and back. */
async function cover(hidden: boolean): Promise<void> {
  await page.evaluate((now) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => now });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

test("four shells fold into a bar, and one is found and brought back", async () => {
  await start();
  await openShells("alpha", "bravo", "charlie", "delta");
  await typeLine(page, "sleep 2; echo news-of-delta");
  await page.keyboard.press("Control+`");
  expect(await tabs().count()).toBe(0);
  // The keyboard is not lost with the terminal.
  expect(await page.evaluate(() => document.activeElement?.textContent)).toContain("4 shells");
  const bar = dock(page);
  expect(await bar.textContent()).toContain("4 shells");
  expect(await bar.textContent()).toContain("delta");
  await bar.getByText(/^\d with new output$/).waitFor(); // a busy computer draws another's prompt late
  await bar.getByRole("button", { name: "All shells" }).click();
  await eventually(() => page.getByRole("option").count()).toBe(4);
  await page.getByRole("option", { name: /^delta.*new output/ }).waitFor();
  expect(await page.getByRole("option").nth(0).textContent()).toContain("demo · tools/toolbox · toolbox");
  await page.keyboard.type("brav");
  await eventually(() => page.getByRole("option").count()).toBe(1);
  await page.keyboard.press("Enter");
  await eventually(() => tabs().count()).toBe(4);
  expect(await dock(page).getByRole("tab", { selected: true }).textContent()).toBe("bravo");
  await typeLine(page, "echo in-bravo");
  await onScreen(page, (text) => /^in-bravo$/m.test(text), "what was typed into the shell that was chosen");
  // What was full height is so again.
  await dock(page).getByRole("button", { name: "Full height" }).click();
  await page.keyboard.press("Control+`");
  await page.keyboard.press("Control+`");
  await dock(page).getByRole("button", { name: "Leave full height" }).click();
  // By keys alone, from the terminal and back into it.
  await page.keyboard.press("Control+Shift+Backquote");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await eventually(() => dock(page).getByRole("tab", { selected: true }).textContent()).toBe("charlie");
  await page.keyboard.press("Control+Shift+Backquote");
  await page.keyboard.press("Escape");
  await eventually(focused).toContain("xterm-helper-textarea");
  await typeLine(page, "echo in-charlie");
  await onScreen(page, (text) => /^in-charlie$/m.test(text), "the keyboard, back in its shell");
});

test("two side by side: typing in both, and both know their size after dragging", async () => {
  await start();
  await openShells("left", "right");
  await tabs().first().click();
  await page.keyboard.press("Control+Shift+Backslash");
  await page.getByRole("option", { name: /^right/ }).click();
  await eventually(() => panes().count()).toBe(2);
  const [left, right] = [panes().nth(0), panes().nth(1)];
  await ask(left, "WHO=one; clear; echo i-am-$WHO", (text) => /^i-am-one$/m.test(text));
  await ask(right, "WHO=two; clear; echo i-am-$WHO", (text) => /^i-am-two$/m.test(text));
  expect(await inPane(left)).not.toContain("i-am-two");
  const before = { left: await sizeIn(left), right: await sizeIn(right) };
  expect(Math.abs(before.left[1] - before.right[1])).toBeLessThanOrEqual(1);

  const handle = dock(page).getByRole("separator", { name: "Width of the left shell" });
  const box = await handle.boundingBox();
  if (!box) throw new Error("no separator");
  await page.mouse.move(box.x, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x - 200, box.y + box.height / 2, { steps: 10 });
  await page.mouse.up();
  const dragged = { left: await sizeIn(left), right: await sizeIn(right) };
  expect(dragged.left[1]).toBeLessThan(before.left[1] - 15);
  expect(dragged.right[1]).toBeGreaterThan(before.right[1] + 15);
  expect(dragged.left[0]).toBe(before.left[0]);

  await handle.focus();
  await page.keyboard.press("Enter");
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
  expect(await handle.getAttribute("aria-valuenow")).toBe("60");
  expect((await sizeIn(left))[1]).toBeGreaterThan((await sizeIn(right))[1] + 15);

  // The keyboard goes from one to the other, and to the program where there is no other.
  await ask(left, "clear", () => true);
  await page.keyboard.press("Control+Shift+ArrowRight");
  await typeLine(page, "clear; echo keys-$WHO");
  await onScreen(
    page,
    (text) => /^keys-two$/m.test(text),
    "typing in the other pane",
    20_000,
    () => inPane(right),
  );

  await page.keyboard.press("Control+Shift+Backslash");
  await eventually(() => panes().count()).toBe(1);
  expect(await tabs().count()).toBe(2);
  await typeLine(page, "clear; echo still-$WHO");
  await onScreen(page, (text) => /^still-two$/m.test(text), "the shell that was active");
});

test("a single shell splits into a second one in its container; a narrow window shows one", async () => {
  await start();
  await openShell();
  await dock(page).getByRole("button", { name: "Show two shells side by side" }).click();
  await eventually(() => panes().count()).toBe(2);
  await eventually(() => tabs().allTextContents()).toEqual(["toolbox", "toolbox (2)"]);
  await ask(panes().nth(1), "clear; hostname", (text) => /^toolbox$/m.test(text));
  // Another shell for the left pane, from its own name.
  await panes()
    .nth(0)
    .getByRole("button", { name: /^Shell in this pane/ })
    .click();
  await page.getByRole("option", { name: /^toolbox \(2\)/ }).click();
  expect(await inPane(panes().nth(0))).toMatch(/^toolbox$/m);
  await page.setViewportSize({ width: 800, height: 900 });
  await eventually(() => panes().count()).toBe(1);
  expect(
    await dock(page)
      .getByRole("button", { name: /side by side/ })
      .count(),
  ).toBe(0);
  await page.setViewportSize({ width: 1440, height: 900 });
  await eventually(() => panes().count()).toBe(2);
  await panes().nth(0).getByRole("button", { name: "Disconnect" }).click();
  await dock(page).getByRole("button", { name: "Close", exact: true }).click();
  await eventually(() => panes().count()).toBe(1);
  await typeLine(page, "clear; echo the-other-lives");
  await onScreen(page, (text) => /^the-other-lives$/m.test(text), "the other pane with all the room");
});

test("tabs are named, moved and closed, by mouse and by keys", async () => {
  await start();
  await openShells("alpha", "bravo", "charlie");
  const order = () => tabs().allTextContents();
  expect(await order()).toEqual(["alpha", "bravo", "charlie"]);
  await tabs()
    .nth(0)
    .dragTo(
      dock(page)
        .getByRole("button", { name: /^Close shell/ })
        .nth(2),
    );
  await eventually(order).toEqual(["bravo", "charlie", "alpha"]);

  // Walking along the tabs shows each and leaves the keyboard with them.
  await tabs().nth(0).focus();
  await page.keyboard.press("ArrowRight");
  await eventually(() => dock(page).getByRole("tab", { selected: true }).textContent()).toBe("charlie");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("charlie");
  await page.keyboard.press("Shift+ArrowLeft");
  await eventually(order).toEqual(["charlie", "bravo", "alpha"]);
  await page.keyboard.press("F2");
  await page.keyboard.type(`  ${"long ".repeat(20)}`);
  await page.keyboard.press("Enter");
  const [named = ""] = await order();
  expect(named.length).toBeLessThanOrEqual(64);
  expect(named).toMatch(/^long long .*\S$/);
  await tabs().nth(0).dblclick();
  await page.keyboard.type("not this");
  await page.keyboard.press("Escape");
  await eventually(order).toEqual([named, "bravo", "alpha"]);
  await tabs().nth(0).dblclick();
  await page.keyboard.press("Delete");
  await page.keyboard.press("Enter");
  await eventually(async () => (await order())[0]).toMatch(/^toolbox/);

  await tabs().nth(1).click({ button: "right" });
  await page.getByRole("menuitem", { name: /^Rename/ }).click();
  await page.keyboard.type("by menu");
  await page.keyboard.press("Enter");
  await eventually(async () => (await order())[1]).toBe("by menu");
  await tabs().nth(1).click({ button: "middle" });
  const dialog = page.getByRole("dialog", { name: "End this shell?" });
  await dialog.getByRole("button", { name: "End shell" }).click();
  await eventually(() => tabs().count()).toBe(2);
});

test("the buffer as text: saved, copied, cleared", async () => {
  await start();
  await openShell();
  const wide = "w".repeat(500);
  await typeLine(page, `clear; seq 1 300 | sed 's/$/ line   /'; printf '%s\\n' ${wide}; echo las''t`);
  await onScreen(page, (text) => /^last$/m.test(text), "the last line");
  const more = dock(page).getByRole("button", { name: "More for this shell" });
  await more.click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("menuitem", { name: "Save as a text file" }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/^demo-tools-toolbox-toolbox-\d{8}T\d{6}Z\.txt$/);
  const text = readFileSync(await download.path(), "utf8");
  const lines = text.split("\n");
  for (let i = 1; i <= 300; i++) expect(lines).toContain(`${i} line`);
  expect(lines).toContain(wide);
  await more.click();
  await page.getByRole("menuitem", { name: "Copy everything" }).click();
  await eventually(clipboard).toBe(text);
  await more.click();
  await page.getByRole("menuitem", { name: "Clear screen and scrollback" }).click();
  await eventually(() => screen(page)).toMatch(/^\S*[#$]\s*$/);
  await more.click();
  const [cleared] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("menuitem", { name: "Save as a text file" }).click(),
  ]);
  expect(readFileSync(await cleared.path(), "utf8")).not.toContain("line");
});

test("the font by keys, and the selection copied as it is made", async () => {
  await start();
  await openShell();
  const size = () =>
    dock(page)
      .locator(".xterm-rows")
      .evaluate((rows) => getComputedStyle(rows).fontSize);
  expect(await size()).toBe("13px");
  await page.keyboard.press("Control+Equal");
  await page.keyboard.press("Control+Equal");
  await eventually(size).toBe("15px");
  await page.keyboard.press("Control+Minus");
  await eventually(size).toBe("14px");
  await page.keyboard.press("Control+0");
  await eventually(size).toBe("13px");

  await typeLine(page, "clear; echo pick-this-word");
  await onScreen(page, (text) => /^pick-this-word$/m.test(text), "a word");
  await page.evaluate(() => navigator.clipboard.writeText("as before"));
  const word = dock(page).locator(".xterm-screen");
  await word.dblclick({ position: { x: 30, y: 8 } });
  expect(await clipboard()).toBe("as before");
  await page.getByRole("link", { name: "Settings" }).first().click();
  await page.getByRole("switch", { name: "Copy what is selected" }).check();
  await word.dblclick({ position: { x: 30, y: 8 } });
  await eventually(clipboard).toMatch(/pick/);
});

test("a risky paste asks, and does what it is told", async () => {
  await start({ pasteWarning: true });
  await openShell();
  const dialog = page.getByRole("dialog", { name: /^Paste/ });
  /** Types what clears a screen that holds more than a prompt. */
  const typed = async (line: string) => {
    await typeLine(page, line);
    await onScreen(page, (text) => /^\S*[#$]$/.test(text.trim()), "a prompt and nothing else");
  };
  // An editing bash takes a paste as marked: its lines run nothing.
  await paste("echo one; \\\necho tw''o");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^two$/m.test(text), "a paste of two lines without a question");
  expect(await dialog.count()).toBe(0);
  // What is steered is asked about there too, and can be left out.
  await paste("echo al\u0003ar''m\u001b[201~");
  await dialog.waitFor();
  expect(await dialog.textContent()).toContain("control characters");
  expect(await dialog.getByRole("group", { name: "The first lines" }).textContent()).toBe("echo al^Car''m^[[201~");
  await shot(page, "dock-paste-control");
  await dialog.getByRole("button", { name: "Paste", exact: true }).click();
  await onScreen(page, (text) => /al ?ar''m\[201~$/m.test(text), "the paste without them");
  // What is typed before bash is at its prompt again may be taken for a part of the line that it gives up.
  await page.keyboard.press("Control+C");
  await onScreen(page, (text) => /'m\[201~.*\n\S*[#$]$/.test(text.trimEnd()), "a new prompt");

  await typed("clear; exec sh");
  await paste("echo fir''st \\\n  more\necho secon''d\n");
  await dialog.waitFor();
  expect(await dialog.textContent()).toContain("3 lines");
  await page.keyboard.press("Enter"); // by habit: on Cancel
  await eventually(() => dialog.count()).toBe(0);
  expect(await screen(page)).not.toContain("fir");
  await page.keyboard.press("Control+Shift+V");
  await dialog.getByRole("button", { name: "Paste as one line" }).click();
  await onScreen(page, (text) => /echo fir''st more echo secon''d$/m.test(text), "one line, not yet run");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^first more echo second$/m.test(text), "the line, run by Enter");
  await page.keyboard.press("Control+Shift+V");
  await dialog.getByRole("button", { name: "Paste", exact: true }).click();
  await onScreen(page, (text) => /^(# )?second$/m.test(text), "all lines");

  await page.getByRole("link", { name: "Settings" }).first().click();
  await page.getByRole("switch", { name: "Warn before a risky paste" }).uncheck();
  await focusTerminal(page);
  await typed("clear");
  await paste("echo no-questi''on\n");
  await onScreen(page, (text) => /^(# )?no-question$/m.test(text), "a paste that is no longer asked about");
});

test("a program sets the clipboard only with consent, and never reads it", async () => {
  await start();
  await openShell();
  await page.evaluate(() => navigator.clipboard.writeText("mine"));
  const bar = dock(page).getByText("A program in this shell wants to set your clipboard");
  await typeLine(page, `clear; ${setClipboard("first")}; echo ask''ed`);
  await onScreen(page, (text) => /^asked$/m.test(text), "that the program asked");
  await bar.waitFor();
  expect(await clipboard()).toBe("mine");
  expect(await dock(page).textContent()).toContain("5 B");
  await shot(page, "dock-clipboard");
  // By keys: out of the terminal to the question, and back into it with the answer.
  await page.keyboard.press("Control+Shift+F6");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Allow once");
  await page.keyboard.press("Enter");
  await eventually(clipboard).toBe("first");
  await eventually(() => bar.count()).toBe(0);
  await typeLine(page, `clear; ${setClipboard("second")}`);
  await bar.waitFor();
  expect(await clipboard()).toBe("first");
  await dock(page).getByRole("button", { name: "Always in this shell" }).click();
  await eventually(clipboard).toBe("second");
  await typeLine(page, `clear; ${setClipboard("third")}`);
  await eventually(clipboard).toBe("third");

  // Another shell asks for itself, and takes no for an answer.
  await openShell();
  await typeLine(page, `clear; ${setClipboard("evil")}`);
  await bar.waitFor();
  await dock(page).getByRole("button", { name: "Never" }).click();
  await typeLine(page, `clear; ${setClipboard("evil")}; echo do''ne`);
  await onScreen(page, (text) => /^done$/m.test(text), "that the program asked again");
  expect(await bar.count()).toBe(0);
  expect(await clipboard()).toBe("third");
  await dock(page).getByRole("button", { name: "More for this shell" }).click();
  await page.getByRole("menuitem", { name: "Ask again about the clipboard" }).click();
  await focusTerminal(page);
  await typeLine(page, `clear; ${setClipboard("evil")}`);
  await bar.waitFor();
  await typeLine(page, "clear; printf '\\033]52;c;?\\a'; IFS= read -rs -t 1 answer; echo \"got=${#answer}=\"");
  await onScreen(page, (text) => /^got=0=$/m.test(text), "that nothing answers a question about the clipboard");
});

test("in full screen the browser's own keys reach the shell", async () => {
  await start();
  await page.evaluate(() => {
    const asked: string[][] = [];
    Object.assign(window, { asked });
    const keyboard = (navigator as any).keyboard;
    const lock = keyboard.lock.bind(keyboard);
    keyboard.lock = (keys: string[]) => {
      asked.push(keys);
      return lock(keys);
    };
  });
  await openShell();
  await page.keyboard.press("Control+Shift+Enter");
  await dock(page).getByText("Hold Esc to leave full screen").waitFor();
  expect(await page.evaluate(() => (window as any).asked[0])).toEqual(
    expect.arrayContaining(["KeyW", "KeyN", "KeyT", "Escape"]),
  );
  expect(await dock(page).boundingBox()).toMatchObject({ x: 0, y: 0 });
  await page.keyboard.type("echo kept gone");
  await page.keyboard.press("Control+W");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^kept$/m.test(text), "Ctrl+W in the shell");
  await shot(page, "dock-full-screen");
  await dock(page).getByRole("button", { name: "Leave full screen" }).click();
  await eventually(() => page.evaluate(() => document.fullscreenElement)).toBeNull();
  // The page hears of it a moment later.
  await eventually(async () => (await dock(page).boundingBox())?.y).toBeGreaterThan(100);
  await page.keyboard.press("Control+Shift+Enter");
  await dock(page).getByText("Hold Esc to leave full screen").waitFor();
  await typeLine(page, "exit");
  await dock(page).getByRole("button", { name: "Close", exact: true }).click();
  await eventually(() => page.evaluate(() => document.fullscreenElement)).toBeNull();
});

test("without Keyboard Lock, or where full screen is refused, nothing breaks", async () => {
  await start();
  await openShell();
  await page.evaluate(() => Object.defineProperty(navigator, "keyboard", { value: undefined }));
  await page.keyboard.press("Control+Shift+Enter");
  await dock(page).getByText("Esc leaves full screen; this browser keeps Ctrl+W").waitFor();
  await page.keyboard.press("Control+Shift+Enter");
  await eventually(() => page.evaluate(() => document.fullscreenElement)).toBeNull();
  await page.evaluate(() => {
    document.documentElement.requestFullscreen = () => Promise.reject(new TypeError("refused"));
  });
  await page.keyboard.press("Control+Shift+Enter");
  await page.getByText("The browser does not let this page fill the screen").waitFor();
  await typeLine(page, "clear; echo still-here");
  await onScreen(page, (text) => /^still-here$/m.test(text), "the shell");
});

test("who stays after Ctrl+W asked to leave is told once what to press", async () => {
  await start();
  await openShell();
  // Of Ctrl+W the page gets to know that Ctrl was pressed.
  const asked = async () => {
    await page.keyboard.down("Control");
    const [question] = await Promise.all([page.waitForEvent("dialog"), page.close({ runBeforeUnload: true })]);
    expect(question.type()).toBe("beforeunload");
    await question.dismiss();
    await page.keyboard.up("Control");
  };
  await asked();
  const hint = dock(page).getByText(/Ctrl\+W closes the browser’s tab/);
  await hint.waitFor();
  await dock(page).getByRole("button", { name: "Got it" }).click();
  await asked();
  await typeLine(page, "clear; echo af''ter");
  await onScreen(page, (text) => /^after$/m.test(text), "the shell after the second question");
  expect(await hint.count()).toBe(0);
});

test("news is marked on the tab, in the bar and in the title, until it is seen", async () => {
  await start();
  await openShells("alpha", "bravo");
  const alpha = dock(page).getByRole("tab", { name: /^alpha/ });
  const marks = () => alpha.getAttribute("aria-label");
  const title = () => page.title();
  await alpha.click(); // a shell that loses sight of its tab may draw its prompt anew
  await eventually(title).not.toMatch(/^[●(]/);
  // What alpha does hangs on a file, which bravo makes and removes: both are in one container. It prints again and again,
  // since what comes right after a terminal got another size is no news.
  const file = `/tmp/news-${randomUUID()}`;
  await typeLine(
    page,
    `echo wait''ing; until [ -e ${file} ]; do sleep 0.1; done; while [ -e ${file} ]; do echo out''put; sleep 0.1; done; printf '\\a'`,
  );
  await onScreen(page, (text) => /^waiting$/m.test(text), "that alpha waits");
  await dock(page)
    .getByRole("tab", { name: /^bravo/ })
    .click();
  await eventually(focused).toContain("xterm-helper-textarea");
  await typeLine(page, `touch ${file}`);
  await eventually(marks).toContain("new output");
  await eventually(title).toMatch(/^\(1\) /);
  await typeLine(page, `rm ${file}`);
  await eventually(marks).toContain("bell");
  await eventually(title).toMatch(/^● \(1\) /);
  await shot(page, "dock-news");
  await page.keyboard.press("Control+`");
  await dock(page).getByText("1 rang").waitFor();
  await page.keyboard.press("Control+`");
  await alpha.click();
  await eventually(marks).not.toMatch(/bell|new output/);
  await eventually(title).not.toMatch(/^[●(]/);

  // In view, but behind another window: marked, and seen when the page is. The same in both panes of a split.
  await page.keyboard.press("Control+Shift+Backslash");
  await page.getByRole("option", { name: /^bravo/ }).click();
  await cover(true);
  await ask(
    panes().nth(0),
    `clear; until [ -e ${file} ]; do echo fro''m-alpha; sleep 0.1; done; rm ${file}; echo agai''n`,
    () => true,
  );
  await eventually(title).toMatch(/^\(1\) /);
  await eventually(() => inPane(panes().nth(0))).toContain("from-alpha");
  await cover(false);
  await eventually(title).not.toMatch(/^[●(]/);
  await panes().nth(1).locator(".xterm").click();
  await typeLine(page, `touch ${file}`);
  await onScreen(
    page,
    (text) => /^again$/m.test(text),
    "output in the other pane",
    20_000,
    () => inPane(panes().nth(0)),
  );
  expect(await marks()).not.toContain("new output");
});

test("a phone has the keys that its own keyboard lacks", async () => {
  await start({ width: 360, height: 740, touch: true, pasteWarning: true });
  await openShell();
  const row = dock(page).getByRole("toolbar", { name: "Terminal keys" });
  for (const box of await Promise.all((await row.getByRole("button").all()).map((key) => key.boundingBox()))) {
    expect(box?.width).toBeGreaterThanOrEqual(40);
    expect(box?.height).toBeGreaterThanOrEqual(40);
  }
  const tap = async (name: string) => {
    await row.getByRole("button", { name, exact: true }).tap();
    expect(await focused()).toContain("xterm-helper-textarea");
  };
  await page.keyboard.type("echo b-c");
  await tap("Home");
  for (let i = 0; i < 5; i++) await tap("Right");
  await page.keyboard.type("a");
  await tap("Dash");
  await tap("End");
  await tap("Pipe");
  await page.keyboard.type("cat; echo ");
  await tap("Tilde");
  await tap("Slash");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^a-b-c$/m.test(text) && /^\/\S*\/$/m.test(text), "what the row typed");
  await page.keyboard.type("sleep 100");
  await page.keyboard.press("Enter");
  await row.getByRole("button", { name: "Ctrl" }).tap();
  await page.keyboard.type("c");
  await typeLine(page, "clear; echo interrupt''ed");
  await onScreen(page, (text) => /^interrupted$/m.test(text), "the prompt after Ctrl and c");
  await page.evaluate(() => navigator.clipboard.writeText("echo pas''ted"));
  await tap("Paste");
  await onScreen(page, (text) => /echo pas''ted$/m.test(text), "the paste, not yet run");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^pasted$/m.test(text), "the paste, run");

  // The soft keyboard covers 300 px of the page; the row stands above it.
  await page.evaluate(() => {
    const seen = window.visualViewport as VisualViewport;
    Object.defineProperty(seen, "height", { configurable: true, value: window.innerHeight - 300 });
    seen.dispatchEvent(new Event("resize"));
  });
  const bottom = async () => {
    const box = await row.boundingBox();
    return Math.round((box?.y ?? 0) + (box?.height ?? 0));
  };
  await eventually(bottom).toBe(740 - 300);
  await shot(page, "dock-soft-keyboard");
});

describe("how it looks", () => {
  const states: Record<string, () => Promise<void>> = {
    minimised: async () => {
      await openShells("alpha", "the sick one");
      await typeLine(page, "sleep 1; printf '\\a'");
      await page.keyboard.press("Control+`");
      await dock(page)
        .getByText(/1\s*rang/)
        .waitFor();
    },
    picker: async () => {
      await openShells("alpha", "the sick one", "bravo");
      await openShell();
      await page.keyboard.press("Control+`");
      await dock(page).getByRole("button", { name: "All shells" }).click();
      await page.getByRole("option").first().waitFor();
    },
    split: async () => {
      await openShells("alpha", "bravo");
      await page.keyboard.press("Control+Shift+Backslash");
      await page.getByRole("option", { name: /^alpha/ }).click();
      await eventually(() => panes().count()).toBe(2);
      await ask(panes().nth(1), "clear; ls /etc", (text) => text.includes("xattr.conf"));
    },
    "tab-menu": async () => {
      await openShells("alpha", "bravo");
      await tabs().last().click({ button: "right" });
      await page.getByRole("menuitem", { name: /^Rename/ }).waitFor();
    },
    rename: async () => {
      await openShells("alpha");
      await tabs().last().dblclick();
      await page.getByRole("textbox", { name: "Name of this tab" }).waitFor();
    },
    "shell-menu": async () => {
      await openShell();
      await dock(page).getByRole("button", { name: "More for this shell" }).click();
      await page.getByRole("menuitem").first().waitFor();
    },
    paste: async () => {
      await openShell();
      await typeLine(page, "clear; echo pla''in; exec sh");
      await onScreen(page, (text) => /^plain\n\S*[#$]$/.test(text.trim()), "a plain shell");
      await paste("kubectl delete pod web-0 \\\n  --now\nrm -rf /tmp/\u001b[31mcache\n");
      await page.getByRole("dialog", { name: /^Paste/ }).waitFor();
    },
    clipboard: async () => {
      await openShell();
      await typeLine(page, `clear; ${setClipboard("kubectl get pods --all-namespaces --watch")}`);
      await dock(page).getByText("wants to set your clipboard").waitFor();
    },
    "settings-terminal": async () => {
      await page.goto("/settings");
      await page.getByRole("switch", { name: "Copy what is selected" }).scrollIntoViewIfNeeded();
    },
    keys: async () => {
      await page.getByRole("heading", { name: "toolbox" }).first().waitFor();
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keys" }).waitFor();
    },
  };
  /** What stands at a point of the window has to be opened again where the window is another one. */
  const again: Record<string, () => Promise<void>> = {
    "tab-menu": async () => {
      await page.keyboard.press("Escape");
      await tabs().last().click({ button: "right" });
      await page.getByRole("menuitem", { name: /^Rename/ }).waitFor();
    },
  };
  /** What a narrow window does not have. */
  const wideOnly = new Set(["split"]);

  test.each(Object.keys(states))("%s", async (name) => {
    await start({ pasteWarning: true });
    await states[name]?.();
    for (const width of wideOnly.has(name) ? [WIDE] : [WIDE, NARROW]) {
      await page.setViewportSize({ width, height: width === NARROW ? 740 : 900 });
      if (width === NARROW) await again[name]?.();
      expect(await looks(page, `dock-${name}`, width)).toEqual([]);
    }
  });
});
