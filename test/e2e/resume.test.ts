import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  address,
  dock,
  faults,
  focusTerminal,
  type Look,
  launch,
  leave,
  looks,
  NARROW,
  newContext,
  onScreen,
  pictures,
  screen,
  shot,
  shotOfFailure,
  typeLine,
  WIDE,
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
  await shotOfFailure(task, page);
  network.set("open");
  await leave(context);
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

/** Presses the button, unless the page was quicker and it is gone. */
async function reconnect(): Promise<void> {
  await page.evaluate(() => {
    const button = [...document.querySelectorAll("button")].find((one) => one.textContent === "Reconnect now");
    button?.click();
  });
}

async function openShell(): Promise<void> {
  const before = await dock(page).getByRole("tab").count();
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await expect.poll(() => dock(page).getByRole("tab").count()).toBe(before + 1);
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
}

/** The shell in view is connected, and the same as before. */
async function resumed(): Promise<void> {
  await expect.poll(() => pill().getAttribute("data-phase"), { timeout: 30_000 }).toBe("connected");
}

const phase = (wanted: string) =>
  expect.poll(() => pill().getAttribute("data-phase"), { timeout: 40_000 }).toBe(wanted);

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
  const lines = (await buffer()).split("\n");
  return lines
    .slice(lines.lastIndexOf(from) + 1, lines.lastIndexOf(to))
    .map((line) => `${line}\n`)
    .join("");
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

test("vim with unsaved text and a counter: a silent network, a reload, a proxy that restarts", {
  timeout: 240_000,
}, async () => {
  await start();
  await openShell();
  await typeLine(page, COUNTER);
  await onScreen(page, (text) => counted(text).numbers.length > 5, "the counter");
  await openShell();
  await typeLine(page, "vim -n -u NONE /tmp/unsaved-$$");
  await onScreen(page, (text) => /^~$/m.test(text), "vim");
  await page.keyboard.type("iunsaved words");
  await onScreen(page, (text) => /^unsaved words$/m.test(text), "the text");

  network.set("silent");
  const cut = Date.now();
  await page.keyboard.type(" typed in the dark");
  await phase("reconnecting");
  await page.waitForTimeout(Math.max(0, 20_000 - (Date.now() - cut)));
  network.set("open");
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await resumed();
  expect(await pill().textContent()).toBe("same shell resumed");
  await onScreen(page, (text) => /^unsaved words typed in the dark$/m.test(text), "what was typed meanwhile, once");
  await tabs().first().click();
  await resumed();
  const before = Math.max(await lastNumber(), 200);
  await onScreen(page, (text) => (counted(text).numbers.at(-1) ?? 0) > before, "the counter going on");
  await expectWhole(before);

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

  network.set("refusing");
  await phase("reconnecting");
  await page.getByRole("button", { name: "Reconnect now" }).waitFor();
  network.set("open");
  await reconnect();
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

/** Breaks every connection at random moments, until `over` says that it is enough. Returns how often. */
async function storm(cuts: number, over: () => boolean): Promise<number> {
  let done = 0;
  while (done < cuts && !over()) {
    await new Promise((next) => setTimeout(next, 40 + Math.random() * 160));
    network.breakAll();
    done++;
  }
  return done;
}

/** MiB through a shell in the storm: a few in `make test`, 64 in `make soak`. */
const STORM_MIB = Number(process.env.PERISCOPE_STORM_MIB ?? 3);
/** How long the program that reads a paste takes for 8 KiB, in seconds: 200 cuts need their time. */
const PAUSE = STORM_MIB < 64 ? 0.05 : 0.25;
/** What the terminal keeps at most is 50,000 lines; each has 64 letters. */
const ROUND_LINES = 24_000;

test("a storm of cuts loses and doubles nothing that is printed", {
  timeout: 120_000 + STORM_MIB * 60_000,
}, async () => {
  await start();
  await page.evaluate(() => localStorage.setItem("periscope.scrollback", "50000"));
  await page.reload();
  await openShell();
  const rounds = Math.ceil((STORM_MIB * 1024 * 1024) / (ROUND_LINES * 65));
  let cuts = 0;
  for (let round = 0; round < rounds; round++) {
    await typeLine(
      page,
      `F=/tmp/storm-$$; head -c ${ROUND_LINES * 48} /dev/urandom | base64 -w 64 > $F; clear; echo be''gin-${round}; cat $F; echo e''nd-${round}`,
    );
    let printed = false;
    const cutting = storm(Math.ceil(200 / rounds), () => printed);
    await onScreen(page, (text) => new RegExp(`^end-${round}$`, "m").test(text), "the end of the output", 120_000);
    printed = true;
    cuts += await cutting;
    await resumed();
    await typeLine(page, "sha256sum < $F; rm $F");
    const sum = new RegExp(`^end-${round}\n.*\n([0-9a-f]{64}) {2}-$`, "m");
    const expected = sum.exec(await onScreen(page, (text) => sum.test(text), "its sum"))?.[1];
    const shown = await between(`begin-${round}`, `end-${round}`);
    expect(shown.length).toBe(ROUND_LINES * 65);
    expect(sha256(shown)).toBe(expected);
  }
  console.log(`${rounds * ROUND_LINES * 65} bytes of output through ${cuts} cuts`);
  expect(cuts).toBeGreaterThan(3);
});

test("a storm of cuts loses and doubles nothing that is pasted", { timeout: 240_000 }, async () => {
  await start();
  await openShell();
  const size = 1024 * 1024;
  const text = Array.from({ length: size / 64 }, (_, i) => `${String(i).padStart(63, "paste ")}\n`).join("");
  expect(text.length).toBe(size);
  // The program reads slowly, so that there is something to cut.
  await typeLine(
    page,
    `stty -echo; echo rea''dy; for i in $(seq 128); do head -c 8192; sleep ${PAUSE}; done | sha256sum`,
  );
  await onScreen(page, (seen) => /^ready$/m.test(seen), "that the command reads");
  await page.evaluate((value) => navigator.clipboard.writeText(value), text);
  await page.keyboard.press("Control+Shift+V");
  let read = false;
  const cutting = storm(200, () => read);
  await onScreen(page, (seen) => /^[0-9a-f]{64} {2}-$/m.test(seen), "the sum of what was pasted", 200_000);
  read = true;
  const cuts = await cutting;
  console.log(`${size} bytes of a paste through ${cuts} cuts`);
  expect(cuts).toBeGreaterThan(3);
  await resumed();
  expect(await screen(page)).toContain(sha256(text));
});

test("a duplicated tab leaves the shell to the first one, and takes it over when asked", async () => {
  await start();
  await openShell();
  await typeLine(page, "clear; echo here-$$");
  const first = await onScreen(page, (text) => /^here-\d+$/m.test(text), "the shell's own number");
  const number = /^here-(\d+)$/m.exec(first)?.[1] ?? "";
  // As "Duplicate tab" does: a window of its own with a copy of the tab's storage.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  const kept = await page.evaluate(() => {
    window.dispatchEvent(new Event("pagehide"));
    return Object.entries({ ...sessionStorage });
  });
  const original = page;
  await context.addInitScript((entries) => {
    if (sessionStorage.length === 0) for (const [key, value] of entries) sessionStorage.setItem(key, value);
  }, kept);
  page = await newPage();
  await phase("away");
  expect(await pill().textContent()).toBe("open in another window");
  await onScreen(page, (text) => text.includes(`here-${number}`), "the screen, though the shell is elsewhere");
  expect(await original.getByTestId("shell-state").getAttribute("data-phase")).toBe("connected");
  await shot(page, "resume-elsewhere");

  await page.getByRole("button", { name: "Open here" }).click();
  await resumed();
  await typeLine(page, "echo again-$$");
  await onScreen(page, (text) => text.includes(`again-${number}`), "the same shell");
  await expect.poll(() => original.getByTestId("shell-state").textContent()).toBe("taken over elsewhere");
  await original.bringToFront();
  await original.getByRole("button", { name: "Take it back" }).click();
  await expect.poll(() => original.getByTestId("shell-state").getAttribute("data-phase")).toBe("connected");
  await expect.poll(() => pill().textContent()).toBe("taken over elsewhere");
  page = original;
  await focusTerminal(page);
  await typeLine(page, "echo back-$$");
  await onScreen(page, (text) => text.includes(`back-${number}`) && text.includes(`again-${number}`), "all of it");
});

test("a shell is taken over into another browser from the list of sessions", async () => {
  await start();
  await openShell();
  await typeLine(page, "clear; echo far-$$");
  const number = /^far-(\d+)$/m.exec(await onScreen(page, (text) => /^far-\d+$/m.test(text), "its number"))?.[1];
  const far = page;
  const other = await newContext(browser, {}, HERE);
  page = await other.newPage();
  await page.goto("/sessions");
  await page.getByRole("button", { name: "Open the shell in toolbox here" }).click();
  await page.getByRole("dialog", { name: "Open this shell here?" }).getByRole("button", { name: "Open here" }).click();
  await resumed();
  await onScreen(page, (text) => text.includes(`far-${number}`), "what the shell had printed");
  await focusTerminal(page);
  await typeLine(page, "echo near-$$");
  await onScreen(page, (text) => text.includes(`near-${number}`), "the same shell");
  await expect.poll(() => far.getByTestId("shell-state").textContent()).toBe("taken over elsewhere");
  // Its window closes, and the shell waits for somebody: no question is left.
  await other.close();
  page = far;
  await page.goto("/sessions");
  await page.getByText("Detached").waitFor();
  await page.getByRole("button", { name: "Open the shell in toolbox here" }).click();
  await resumed();
  await onScreen(page, (text) => text.includes(`near-${number}`), "the same shell once more");
});

test("a shell that is gone is not pretended to be there", async () => {
  await start();
  await openShell();
  await page.reload();
  await resumed();
  network.set("refusing");
  await phase("reconnecting");
  await shot(page, "resume-reconnecting");
  expect(await faults(page)).toEqual([]);
  // Ended from elsewhere; its end is not for somebody else's token.
  const kept = await page.evaluate(() => JSON.parse(sessionStorage.getItem("periscope.shells") ?? "{}"));
  await page.evaluate(() => sessionStorage.clear());
  network.set("open");
  await reconnect();
  await resumed();
  await context.request.delete(`/api/exec/sessions/${kept.shells[0].sessionId}`);
  await phase("ended");
  kept.shells[0].token = "not-the-token";
  await page.route("**/api/**", (route) => route.continue());
  await context.addInitScript((index) => sessionStorage.setItem("periscope.shells", index), JSON.stringify(kept));
  await page.reload();
  await phase("ended");
  expect(await pill().textContent()).toBe("ended: the shell is gone");
  await page.getByText("What ran in it has ended").waitFor();
  await shot(page, "resume-gone");
  expect(await faults(page)).toEqual([]);
  await dock(page).getByRole("button", { name: "New shell" }).click();
  await resumed();
  expect(await pill().textContent()).toBe("new shell");
  await onScreen(page, (text) => /new shell; the one before ended: the shell is gone/.test(text), "why it is new");
  await shot(page, "resume-new-shell");
});

for (const width of [WIDE, NARROW]) {
  test(`how coming back looks, ${width} px`, async () => {
    await start({ width, height: width === NARROW ? 740 : 900 });
    await openShell();
    await typeLine(page, "clear; uname -s; echo the work of an hour");
    await onScreen(page, (text) => /^the work of an hour$/m.test(text), "some output");
    network.set("refusing");
    await page.getByRole("button", { name: "Reconnect now" }).waitFor({ timeout: 30_000 });
    expect(await looks(page, "resume-reconnecting", width)).toEqual([]);
    network.set("open");
    await reconnect();
    await expect.poll(() => pill().textContent()).toBe("same shell resumed");
    await pictures(page, "resume-resumed", width);
    await focusTerminal(page);
    await typeLine(page, "exit 3");
    await phase("ended");
    await pictures(page, "resume-ended", width);
    await dock(page).getByRole("button", { name: "New shell" }).click();
    await expect.poll(() => pill().textContent()).toBe("new shell");
    await pictures(page, "resume-new-shell", width);
  });
}
