import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  dock,
  focusTerminal,
  launch,
  leave,
  newContext,
  onScreen,
  pictures,
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

beforeEach(async () => {
  context = await newContext(browser);
  page = await context.newPage();
  errors.length = 0;
  page.on("pageerror", (error) => errors.push(String(error)));
});
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  await leave(context);
  expect(errors).toEqual([]);
});

const PROMPT = /[#$] ?$/m;

/** From the list of clusters to a prompt, by mouse. */
async function openShell(pod: RegExp, namespace = "shop"): Promise<void> {
  await page.goto("/");
  await page.getByRole("list", { name: "Clusters" }).getByRole("link", { name: /demo/ }).first().click();
  await page.getByRole("table", { name: "Pods" }).waitFor();
  await page.goto(`${new URL(page.url()).pathname}?namespace=${namespace}`);
  await page.getByRole("row").filter({ hasText: pod }).first().getByRole("link", { name: pod }).click();
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
}

test("from the cluster list to a prompt, a command and its output", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "echo $((6*7))-answers; hostname");
  await onScreen(page, (text) => /^42-answers$/m.test(text), "the command's output");
  expect(await page.getByTestId("shell-state").textContent()).toContain("connected");
  await shot(page, "terminal");
});

test("the cursor blinks, and no animation runs for it", async () => {
  await openShell(/^checkout-/);
  const cursor = () =>
    dock(page)
      .locator(".xterm-cursor")
      .evaluate((one) => getComputedStyle(one).backgroundColor);
  const shown = await cursor();
  await expect.poll(cursor).not.toBe(shown);
  await expect.poll(cursor).toBe(shown);
  const running = () =>
    page.evaluate(() => document.getAnimations().filter((one) => one.playState === "running").length);
  await expect.poll(running).toBe(0);
});

/** How much of the terminal's picture is not in the colour of its corner. */
async function inked(): Promise<number> {
  const picture = await dock(page).locator(".xterm-screen:visible").screenshot();
  return page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d") as OffscreenCanvasRenderingContext2D;
    canvas.drawImage(image, 0, 0);
    const pixels = new Uint32Array(canvas.getImageData(0, 0, image.width, image.height).data.buffer);
    return pixels.filter((pixel) => pixel !== pixels.at(-1)).length / pixels.length;
  }, picture.toString("base64"));
}

test("what people have draws by WebGL, and by the page's elements once that is lost", async () => {
  await context.addInitScript(() => localStorage.setItem("periscope.renderer", "auto"));
  await page.goto("/clusters/demo/pods/tools/toolbox");
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await dock(page)
    .getByRole("tab", { name: /, connected/ })
    .waitFor();
  const drawn = dock(page).locator(".xterm-screen canvas").last();
  await drawn.waitFor();
  await focusTerminal(page);
  await typeLine(page, "clear; for i in 1 2 3 4 5; do printf '█%.0s' $(seq 80); echo; done; echo la''st");
  await expect.poll(inked).toBeGreaterThan(0.05);
  expect(await dock(page).locator(".xterm-rows > div").count()).toBe(0);
  await drawn.evaluate((canvas: HTMLCanvasElement) =>
    canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext(),
  );
  await onScreen(page, (text) => /^last$/m.test(text), "what had been drawn before");
  await typeLine(page, "echo go''es on");
  await onScreen(page, (text) => /^goes on$/m.test(text), "what came afterwards");
});

test("the program learns the terminal's new size", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "stty size | tr ' ' x");
  const before = /^(\d+)x(\d+)$/m.exec(await onScreen(page, (text) => /^\d+x\d+$/m.test(text), "a size"));
  await page.setViewportSize({ width: 1000, height: 800 });
  await expect
    .poll(
      async () => {
        await typeLine(page, "clear; stty size | tr ' ' x");
        const now = /^(\d+)x(\d+)$/m.exec(await onScreen(page, (text) => /^\d+x\d+$/m.test(text), "a size"));
        return Number(now?.[2]) < Number(before?.[2]);
      },
      { timeout: 15_000 },
    )
    .toBe(true);
});

test("a paste of 200 KB arrives whole", async () => {
  await openShell(/^checkout-/);
  const line = `${"x".repeat(99)}\n`;
  const text = line.repeat(2000);
  // Until the line discipline is the command's, an editing shell would take the paste as marked by brackets.
  await typeLine(page, "stty -echo; echo rea''dy; head -c 200000 | md5sum");
  await onScreen(page, (seen) => /^ready$/m.test(seen), "that the command reads");
  await page.evaluate((value) => navigator.clipboard.writeText(value), text);
  await page.keyboard.press("Control+Shift+V");
  const { createHash } = await import("node:crypto");
  const sum = createHash("md5").update(text).digest("hex");
  await onScreen(page, (seen) => seen.includes(sum), "the sum of what was pasted", 40_000);
});

test("wide characters and emoji", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "printf '日本語 한국어 🚀 naïve\\n'");
  await onScreen(
    page,
    (text) => /^日本語 한국어 🚀 naïve$/m.test(text.replace(/([\u1100-\uffef]) /g, "$1 ")),
    "the characters",
  );
  await shot(page, "characters");
});

test("an emoji picker types after a key was let go elsewhere", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "clear");
  await page.keyboard.down("Shift");
  await page.getByRole("main").focus();
  await page.keyboard.up("Shift");
  await focusTerminal(page);
  await page.keyboard.insertText("echo picked'-'here");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => /^picked-here$/m.test(text), "what was picked");
});

/** Counts the bytes that the page types. */
function countTyped(page: Page): () => number {
  let typed = 0;
  page.on("websocket", (socket) =>
    socket.on("framesent", ({ payload }) => {
      if (typeof payload !== "string") typed += payload.length;
    }),
  );
  return () => typed;
}

/** Where an element is on the page, each way to the nearest pixel. */
const edges = (one: Locator) =>
  one.evaluate((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return { left: Math.round(left), top: Math.round(top), right: Math.round(right), bottom: Math.round(bottom) };
  });

test("what an input method composes stays in the pane, and is typed once when it is done", async () => {
  const typed = countTyped(page);
  await openShell(/^checkout-/);
  await typeLine(
    page,
    "stty -echo; clear; echo rea''dy; printf '\\033[999;999H'; read -r line; clear; echo \"<$line>\"",
  );
  await onScreen(page, (text) => /^ready$/m.test(text), "that the command reads");
  const devtools = await context.newCDPSession(page);
  const screenOf = dock(page).locator(".xterm-screen:visible");
  const pane = await edges(screenOf);
  const before = typed();
  for (const [name, text] of Object.entries({ line: "日本語入力".repeat(4), lines: "日本語入力".repeat(40) })) {
    await devtools.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
    const composed = screenOf.locator(".composition-view.active").filter({ hasText: text });
    await composed.waitFor();
    await pictures(page, `composing-${name}`, WIDE);
    const box = await edges(composed);
    expect([box.right, box.bottom]).toEqual([pane.right, pane.bottom]);
    expect(box.left).toBeGreaterThanOrEqual(pane.left);
    expect(box.top).toBeGreaterThanOrEqual(pane.top);
    expect(await edges(screenOf)).toEqual(pane);
  }
  expect(typed()).toBe(before);
  await devtools.send("Input.insertText", { text: "日本語🚀" });
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => text.replace(/ /g, "").startsWith("<日本語🚀>\n"), "what was composed, once");
  expect(typed()).toBe(before + Buffer.byteLength("日本語🚀\r"));
});

test("Ctrl-C stops a flood at once", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "yes flooding");
  await onScreen(page, (text) => (text.match(/flooding/g) ?? []).length > 10, "the flood");
  await page.keyboard.press("Control+C");
  await onScreen(page, (text) => PROMPT.test(text.trimEnd()), "the prompt after ^C");
  await typeLine(page, "clear; echo back-again");
  await onScreen(page, (text) => /^back-again$/m.test(text), "the next command");
});

test("a shell stays through navigation, and several live side by side", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "KEPT=still-here");
  await page.getByRole("link", { name: "Clusters", exact: true }).first().click();
  await page.getByRole("list", { name: "Clusters" }).waitFor();
  await focusTerminal(page);
  await typeLine(page, "clear; echo $KEPT");
  await onScreen(page, (text) => /^still-here$/m.test(text), "the variable");
  await page.goBack();
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await expect.poll(() => dock(page).getByRole("tab").count()).toBe(2);
  await shot(page, "two-shells");
});

test("the end of the program is told, and a new shell is one click away", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "exit 3");
  await expect.poll(() => page.getByTestId("shell-state").textContent()).toContain("ended");
  await shot(page, "ended");
  await dock(page)
    .getByRole("button", { name: /new shell/i })
    .click();
  await onScreen(page, (text) => PROMPT.test(text), "a prompt again");
});

test("a lost connection is told, and the same shell comes back", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "KEPT=still''-here; clear");
  const phase = () => page.getByTestId("shell-state").getAttribute("data-phase");
  await context.setOffline(true);
  await expect.poll(phase, { timeout: 15_000 }).toBe("reconnecting");
  await context.setOffline(false);
  await expect.poll(phase, { timeout: 30_000 }).toBe("connected");
  await focusTerminal(page);
  await typeLine(page, "echo $KEPT");
  await onScreen(page, (text) => /^still-here$/m.test(text), "the same shell");
});

test("a pod without a shell says what to do", async () => {
  await page.goto("/clusters/demo?namespace=shop");
  await page.getByRole("textbox", { name: "Filter pods" }).fill("payment-gateway");
  await page
    .getByRole("row")
    .filter({ hasText: "payment-gateway" })
    .first()
    .getByRole("button", { name: /^Open shell/ })
    .click();
  await expect.poll(() => dock(page).textContent(), { timeout: 20_000 }).toMatch(/no shell/i);
  await shot(page, "no-shell");
});

test("by keyboard alone: a row, s, the container, a prompt", async () => {
  await page.goto("/clusters/demo?namespace=shop&q=storefront");
  await page
    .getByRole("link", { name: /^storefront-/ })
    .first()
    .waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("s");
  const dialog = page.getByRole("dialog", { name: "Open shell" });
  await dialog.getByRole("radio").first().waitFor();
  await page.keyboard.press("ArrowDown");
  await shot(page, "choose-container");
  await page.keyboard.press("Enter");
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  expect(await dock(page).getByRole("tab").getAttribute("aria-label")).toContain("log-shipper");
});

test("the palette goes to a pod", async () => {
  await page.goto("/");
  await page.getByRole("list", { name: "Clusters" }).waitFor();
  await page.keyboard.press("Control+K");
  const palette = page.getByRole("dialog", { name: "Command palette" });
  await palette.waitFor();
  await page.keyboard.type("toolbox");
  await palette
    .getByRole("option", { name: /^toolbox/ })
    .first()
    .waitFor();
  await shot(page, "palette");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "toolbox" }).first().waitFor();
});

test("closing a shell that runs asks once", async () => {
  await openShell(/^checkout-/);
  const close = dock(page).getByRole("button", { name: /^Close shell/ });
  await close.click();
  const dialog = page.getByRole("dialog", { name: "End this shell?" });
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await focusTerminal(page);
  await typeLine(page, "clear; echo kept");
  await onScreen(page, (text) => /^kept$/m.test(text), "the shell that was kept");
  await close.click();
  await dialog.getByRole("button", { name: "End shell" }).click();
  await expect.poll(() => dock(page).count()).toBe(0);
});

test("search in the terminal", async () => {
  await openShell(/^checkout-/);
  await typeLine(page, "clear; seq 1 200 | sed 's/$/ needle/'");
  await onScreen(page, (text) => /^200 needle$/m.test(text), "the lines");
  await dock(page).getByRole("button", { name: "Find in terminal" }).click();
  await page.keyboard.type("150 needle");
  await onScreen(page, (text) => /^150 needle$/m.test(text), "the line that was found");
  await shot(page, "search");
});
