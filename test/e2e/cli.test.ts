import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { address, launch, newContext, shotOfFailure } from "./browser.ts";

const PROGRAM = new URL("../../bin/periscope", import.meta.url).pathname;

let browser: Browser;
let context: BrowserContext;
let page: Page;
let config: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

beforeEach(async () => {
  config = mkdtempSync(join(tmpdir(), "periscope-e2e-"));
  context = await newContext(browser);
  page = await context.newPage();
});
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  for (const child of running.splice(0)) child.kill("SIGKILL");
  await context.close();
  rmSync(config, { recursive: true });
});

interface Command {
  said(pattern: RegExp): Promise<RegExpMatchArray>;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** periscope, as a person runs it in a terminal beside the browser. */
function periscope(...args: string[]): Command {
  const child = spawn(PROGRAM, args, {
    env: {
      PATH: process.env.PATH ?? "",
      HOME: config,
      XDG_CONFIG_HOME: config,
      PERISCOPE_URL: address().replace(/\/$/, ""),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((done) =>
    child.on("close", (code) => done({ code, stdout, stderr })),
  );
  return {
    ended,
    said: (pattern) =>
      expect
        .poll(() => stderr.match(pattern), { timeout: 20_000 })
        .not.toBeNull()
        .then(() => stderr.match(pattern) as RegExpMatchArray),
  };
}

async function hasLoggedIn(command: Command): Promise<void> {
  const { code, stdout, stderr } = await command.ended;
  expect([code, stdout], stderr).toEqual([0, expect.stringContaining(`as dev@local, until`)]);
  expect(statSync(join(config, "periscope", "credentials.json")).mode & 0o777).toBe(0o600);
  const looked = await periscope("exec", "demo", "tools/toolbox", "--", "echo", "from the command line").ended;
  expect(looked).toEqual({ code: 0, stdout: "from the command line\n", stderr: "" });
}

test("a command is allowed in the browser, says who it is, and is on the page of tokens", async () => {
  const command = periscope("login", "--no-browser");
  const [, asked] = await command.said(/(http:\S+\/cli\?ask=\w+)/);
  await page.goto(asked as string);
  await page.getByRole("heading", { name: "Allow this command line?" }).waitFor();
  expect(await page.getByRole("definition").allTextContents()).toEqual([
    expect.stringMatching(/\S/),
    expect.stringMatching(/^periscope\//),
    "127.0.0.1",
    expect.stringMatching(/ago$/),
    "Read and Shells, for 30 days",
  ]);
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(/^http:\/\/127\.0\.0\.1:\d+\/\?code=/);
  await page.getByRole("heading", { name: "Logged in" }).waitFor();
  await hasLoggedIn(command);
  await page.goto("/account/tokens");
  await page.getByRole("row").filter({ hasText: "periscope login on" }).first().waitFor();
  expect((await periscope("logout").ended).code).toBe(0);
});

test("a command is refused in the browser", async () => {
  const command = periscope("login", "--no-browser");
  const [, asked] = await command.said(/(http:\S+\/cli\?ask=\w+)/);
  await page.goto(asked as string);
  await page.getByRole("button", { name: "Refuse" }).click();
  await page.getByRole("heading", { name: "Refused" }).waitFor();
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([255, expect.stringContaining("refused in the browser")]);
  await page.goto(asked as string);
  await page.getByRole("heading", { name: "This login is over" }).waitFor();
});

test("a machine without a browser is allowed by its code, typed as people type", async () => {
  const command = periscope("login", "--device");
  const [, code] = await command.said(/the code (\w{4}-\w{4})/);
  await page.goto("/cli");
  const field = page.getByLabel("Code");
  await field.fill("zzzz-zzzz");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("No command shows this code now").waitFor();
  await field.fill("");
  await field.pressSequentially((code as string).toLowerCase().replace("-", ""));
  expect(await field.inputValue()).toBe(code);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("heading", { name: "Allowed" }).waitFor();
  await hasLoggedIn(command);
  expect((await periscope("logout").ended).code).toBe(0);
});
