import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { dock, focusTerminal, launch, leave, newContext, onScreen, shot, shotOfFailure, typeLine } from "./browser.ts";
import { typing } from "./typing.ts";

/** Row 3 of docs/performance.md: `make bench` asks for seven rounds; `make test` looks whether every key is answered. */
const ROUNDS = Number(process.env.PERISCOPE_TYPING ?? 1);
const KEYS = process.env.PERISCOPE_TYPING ? 60 : 20;

let browser: Browser;
let context: BrowserContext;
let page: Page;
let again: ChildProcess | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  again?.kill();
  await browser.close();
});

beforeEach(async () => {
  context = await newContext(browser);
  page = await context.newPage();
});
afterEach(async ({ task }) => {
  await shotOfFailure(task, page);
  await leave(context);
});

async function openShell(page: Page): Promise<void> {
  await page.goto("/clusters/edge/pods/tools/toolbox");
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
  await focusTerminal(page);
}

const edge = (page: Page) =>
  page.getByRole("list", { name: "Clusters" }).getByRole("listitem").filter({ hasText: "edge" });

test("a shell in a cluster that is reached through its agent", async () => {
  await page.goto("/clusters");
  await expect.poll(() => edge(page).innerText()).toContain("Connected");
  await openShell(page);
  await typeLine(page, "echo $((6*7))-through-the-agent");
  await onScreen(page, (text) => /^42-through-the-agent$/m.test(text), "the command's output");
});

test("typing on a page, quiet and beside a flood, straight and through the agent", {
  timeout: 60_000 * (ROUNDS + 1),
}, async () => {
  for (const line of await typing(context, ROUNDS, KEYS)) console.log(line);
});

/** A process like the agent, started anew as a kubelet would. */
function like(pid: string): () => ChildProcess {
  const words = (name: string) => readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0").filter(Boolean);
  const [exe, [, ...args], cwd] = [
    readlinkSync(`/proc/${pid}/exe`),
    words("cmdline"),
    readlinkSync(`/proc/${pid}/cwd`),
  ];
  const env = Object.fromEntries(
    words("environ").map((pair) => [pair.split("=", 1)[0], pair.slice(pair.indexOf("=") + 1)]),
  );
  return () => spawn(exe, args, { cwd, env, stdio: "ignore" });
}

test("an agent that is killed is away in fifteen seconds, and a new one takes over", async () => {
  await openShell(page);
  const clusters = await context.newPage();
  await clusters.goto("/clusters");
  await expect.poll(() => edge(clusters).innerText()).toContain("Connected");
  const pid = process.env.PERISCOPE_AGENT_PID ?? "";
  const start = like(pid);
  const killed = performance.now();
  process.kill(Number(pid), "SIGKILL");
  await expect.poll(() => edge(clusters).innerText(), { timeout: 20_000 }).toContain("Away");
  const away = performance.now() - killed;
  expect(away).toBeLessThan(15_500); // a look at the page costs too
  await shot(clusters, "agent-away");

  const started = performance.now();
  again = start();
  const answers = async () => (await context.request.get("/api/clusters/edge/namespaces")).status();
  await expect.poll(answers, { timeout: 10_000, interval: 50 }).toBe(200);
  console.log(
    `away after ${Math.round(away)} ms; a new agent answers after ${Math.round(performance.now() - started)} ms`,
  );
  await expect.poll(() => edge(clusters).innerText(), { timeout: 20_000 }).toContain("Connected");
  await page.bringToFront();
  await expect.poll(() => dock(page).innerText(), { timeout: 20_000 }).toMatch(/link to the cluster broke/);
  await shot(page, "agent-lost");
});
