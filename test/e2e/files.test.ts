import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  address,
  dock,
  faults,
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
import { CuttableNetwork } from "./wire.ts";

const network = new CuttableNetwork(new URL(address()));
/** The server knows its own address alone, so the browser believes to be there. */
const HERE = `http://localhost:${new URL(address()).port}`;
const MIB = 1024 * 1024;

let browser: Browser;
let context: BrowserContext;
let page: Page;
/** A folder here, and an empty one of that path in the container. */
let folder: string;
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
  rmSync(folder, { recursive: true, force: true });
  expect(errors).toEqual([]);
});

async function start(look: Look = {}): Promise<void> {
  folder = mkdtempSync("/tmp/periscope-e2e-files-");
  context = await newContext(browser, look, HERE);
  page = await context.newPage();
  errors.length = 0;
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto("/clusters/demo/pods/tools/toolbox");
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
  await inShell(`mkdir ${folder}`);
}

let asked = 0;

/** Runs a line in the shell, and returns what it printed. */
async function inShell(line: string): Promise<string> {
  await focusTerminal(page);
  asked++;
  await typeLine(page, `clear; ${line}; echo do''ne-${asked}`);
  const text = await onScreen(page, (text) => new RegExp(`^done-${asked}$`, "m").test(text), line);
  return text.slice(0, text.indexOf(`done-${asked}`)).trimEnd();
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const rows = () => page.getByRole("region", { name: "Transfers" }).getByTestId("transfer");
const row = (name: string) => rows().filter({ hasText: name });
const phase = (one: Locator, wanted: string) =>
  expect.poll(() => one.getAttribute("data-phase"), { timeout: 30_000 }).toBe(wanted);

async function choose(item: "Upload files…" | "Download…"): Promise<Locator> {
  await dock(page).getByRole("button", { name: "More for this shell" }).click();
  await page.getByRole("menuitem", { name: item }).click();
  const dialog = page.getByRole("dialog", { name: item.replace("…", "") });
  await dialog.waitFor();
  return dialog;
}

/** Drags a file of these bytes over the terminal, and drops it there. */
async function drop(name: string, bytes: Uint8Array): Promise<void> {
  await page.exposeFunction("bytesToDrop", () => Buffer.from(bytes).toString("base64"));
  const data = await page.evaluateHandle(async (name) => {
    const text = await (window as any).bytesToDrop();
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))], name));
    return data;
  }, name);
  const terminal = dock(page).locator(".xterm-screen");
  await terminal.dispatchEvent("dragenter", { dataTransfer: data });
  await page.getByTestId("drop-target").waitFor();
  await shot(page, "files-drop");
  await terminal.dispatchEvent("drop", { dataTransfer: data });
}

/** Has every file that is read from now on give so many slices, and then nothing, as a disk that hangs. */
async function hangAfter(slices: number): Promise<void> {
  await page.evaluate((slices) => {
    const read = Blob.prototype.arrayBuffer;
    let reads = 0;
    Blob.prototype.arrayBuffer = function () {
      return ++reads > slices ? new Promise(() => {}) : read.call(this);
    };
  }, slices);
}

/** Fills in the dialog for uploads. */
async function fillUpload(names: string[], to: string): Promise<Locator> {
  const dialog = await choose("Upload files…");
  const field = dialog.locator("input[aria-label='Files to upload']");
  await field.setInputFiles(names.map((name) => join(folder, name)));
  await dialog.locator("textarea").fill(to);
  return dialog;
}

const send = (dialog: Locator) => dialog.getByRole("button", { name: /^Upload/ }).click();

/** What the container still has of a copy: processes that name its folder. */
function processes(): string[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // it has ended meanwhile
      }
    })
    .filter((line) => line.includes(folder));
}

test("8 MiB are dropped on the terminal and fetched back, through a cut each way", async () => {
  await start();
  const bytes = randomBytes(8 * MIB);
  const name = "a\nname.bin";
  // As some shells do with every prompt.
  await inShell(`printf '\\033]7;file://toolbox${folder}\\007'`);
  await drop(name, bytes);
  const dialog = page.getByRole("dialog", { name: "Upload files" });
  expect(await dialog.getByRole("textbox", { name: "To" }).inputValue()).toBe(`${folder}/`);
  await dialog.getByText("demo · tools/toolbox ·").waitFor();
  const cutUp = network.breakAfter(3 * MIB);
  await page.keyboard.press("Enter");
  await cutUp;
  const up = row("a␊name.bin");
  await phase(up, "done");
  expect(await up.textContent()).toContain(sha256(bytes));
  expect(await inShell(`sha256sum <${folder}/a*name.bin; ls -Aq ${folder} | cat`)).toBe(
    `${sha256(bytes)}  -\na?name.bin`,
  );

  const from = await choose("Download…");
  await from.getByRole("textbox", { name: "From" }).fill(join(folder, name));
  const cutDown = network.breakAfter(3 * MIB);
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter"), cutDown]);
  expect(sha256(readFileSync(await download.path()))).toBe(sha256(bytes));
  await phase(rows().first(), "done");
  expect(await faults(page)).toEqual([]);
});

test("a folder is unpacked in the container, and comes back as an archive", async () => {
  await start();
  mkdirSync(join(folder, "src", "deep"), { recursive: true });
  writeFileSync(join(folder, "src", "a"), "aa");
  writeFileSync(join(folder, "src", "deep", "b"), randomBytes(MIB));
  const dialog = await choose("Upload files…");
  await dialog.locator("input[webkitdirectory]").setInputFiles(join(folder, "src"));
  await dialog.getByText("src/").waitFor();
  await dialog.locator("textarea").fill(folder);
  await send(dialog);
  await phase(row("src/"), "done");
  const sum = sha256(readFileSync(join(folder, "src", "deep", "b")));
  expect(await inShell(`cd ${folder}; find . -type f | sort; sha256sum <src/deep/b; cd`)).toBe(
    `./src/a\n./src/deep/b\n${sum}  -`,
  );

  const from = await choose("Download…");
  await from.getByRole("textbox", { name: "From" }).fill(`${folder}/src`);
  // Its size is not known before, so the browser would ask where it goes; here its answer is a file of the page's own.
  await page.evaluate(() => {
    (window as any).showSaveFilePicker = async ({ suggestedName }: { suggestedName: string }) =>
      (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
  });
  await page.keyboard.press("Enter");
  await phase(row("src.tar"), "done");
  const saved = await page.evaluate(async () => {
    const file = await (await (await navigator.storage.getDirectory()).getFileHandle("src.tar")).getFile();
    return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer())));
  });
  expect(await row("src.tar").textContent()).toContain(Buffer.from(saved).toString("hex"));
});

test("what is refused says why, before anything is sent where that is known", async () => {
  await start();
  writeFileSync(join(folder, "big.bin"), "");
  truncateSync(join(folder, "big.bin"), 1024 * MIB + 1);
  writeFileSync(join(folder, "small.bin"), "small");
  const dialog = await fillUpload(["big.bin"], `${folder}/missing/`);
  await dialog.getByText("It is larger than 1.0 GiB").waitFor();
  expect(await dialog.getByRole("button", { name: /^Upload/ }).isEnabled()).toBe(false);
  await dialog.getByRole("button", { name: "Leave out big.bin" }).click();
  await dialog.locator("input[aria-label='Files to upload']").setInputFiles([join(folder, "small.bin")]);
  await send(dialog);
  await row("small.bin").getByText("Make it first, or check the path.").waitFor();
  await phase(row("small.bin"), "failed");

  await inShell(`mkdir ${folder}/missing`);
  await row("small.bin").getByRole("button", { name: "Retry small.bin" }).click();
  await phase(row("small.bin"), "done");
  expect(await inShell(`cat ${folder}/missing/small.bin; echo`)).toBe("small");

  await inShell(`mkdir ${folder}/full; mount -t tmpfs -o size=64k none ${folder}/full`);
  writeFileSync(join(folder, "large.bin"), randomBytes(2 * MIB));
  await send(await fillUpload(["large.bin"], `${folder}/full/`));
  await row("large.bin").getByText("No space left on device.").waitFor();
  expect(await inShell(`ls -A ${folder}/full; umount ${folder}/full`)).toBe("");
});

test("a copy that is cancelled leaves no process and no half file, and the page asks before it is left", async () => {
  await start();
  const big = join(folder, "big.bin");
  await inShell(`truncate -s 100M ${big}`);
  writeFileSync(join(folder, "up.bin"), randomBytes(8 * MIB));
  await hangAfter(12);
  await send(await fillUpload(["up.bin"], `${folder}/there.bin`));
  await row("up.bin").getByText("3.0 MiB of 8.0 MiB").waitFor();
  expect(await inShell(`ls -A ${folder}`)).toMatch(/^\.periscope-\S+\s+big\.bin$/);

  // One that is too large to be held waits until somebody says where it goes.
  const down = await choose("Download…");
  await down.getByRole("textbox", { name: "From" }).fill(big);
  await page.evaluate(() => {
    (window as any).showSaveFilePicker = () => Promise.reject(new DOMException("not now", "AbortError"));
  });
  await down.getByRole("button", { name: "Download" }).click();
  await row("big.bin").getByRole("button", { name: "Save big.bin as" }).waitFor();
  expect(processes().length).toBeGreaterThan(1);

  await row("up.bin").getByRole("button", { name: "Cancel up.bin" }).click();
  await expect.poll(() => inShell(`ls -A ${folder}`)).toBe("big.bin");

  const leave = async (answer: "accept" | "dismiss", act: () => Promise<unknown>) => {
    const question = page.waitForEvent("dialog").then((dialog) => dialog[answer]().then(() => dialog.type()));
    await act();
    expect(await question).toBe("beforeunload");
  };
  await leave("dismiss", () => page.close({ runBeforeUnload: true }));
  await phase(row("big.bin"), "running");
  await leave("accept", () => page.reload());
  await expect.poll(processes).toEqual([]);
});

const LOOKS: Look[] = [
  { theme: "light", width: 1440, height: 900 },
  { theme: "dark", width: 360, height: 740 },
];

/** Rows below the tray's fold make nothing taller than the window. */
const frameStands = () =>
  page.evaluate(() => {
    const root = document.querySelector("#root") as HTMLElement;
    return root.scrollTop === 0 && root.scrollHeight === root.clientHeight;
  });

for (const look of LOOKS) {
  test(`how transfers look, ${look.theme}, ${look.width} px`, async () => {
    await start(look);
    const names = ["report.csv", "core.4711", "a-rather-long-name-of-a-heap-dump-2026-11-21.hprof", "last.log"];
    for (const name of names) writeFileSync(join(folder, name), randomBytes(name === "report.csv" ? 12_345 : 4 * MIB));
    const about = `${look.theme}-${look.width}`;
    await send(await fillUpload(["report.csv"], `${folder}/`));
    await phase(row("report.csv"), "done");
    await send(await fillUpload(["report.csv"], "/srv/missing/"));
    await phase(rows().first(), "failed");
    await hangAfter(14);
    const dialog = await fillUpload(names.slice(1), folder);
    await shot(page, `files-upload-${about}`);
    expect(await faults(page)).toEqual([]);
    await send(dialog);
    await phase(row("last.log"), "queued");
    await row("core.4711").getByRole("progressbar").waitFor();
    await shot(page, `files-tray-${about}`);
    expect(await faults(page)).toEqual([]);
    await expect.poll(frameStands).toBe(true); // the dock has come up again since the colours were looked at
    const down = await choose("Download…");
    await shot(page, `files-download-${about}`);
    expect(await faults(page)).toEqual([]);
    await down.getByRole("button", { name: "Cancel" }).click();
    network.set("refusing");
    await phase(row("core.4711"), "reconnecting");
    await shot(page, `files-reconnecting-${about}`);
    await row("core.4711").getByRole("button", { name: "Reconnect core.4711 now" }).waitFor();
    network.set("open"); // from now on it may come back by itself at any moment
    await phase(row("core.4711"), "running");
  });
}
