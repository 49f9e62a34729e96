/**
 * Logins as people see them: `bin/demo --oidc` has a real provider with a user of
 * each tier, and Periscope reaches the cluster as somebody who may only act as
 * others.
 */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  address,
  dock,
  focusTerminal,
  type Look,
  launch,
  leave,
  newContext,
  onScreen,
  shot,
  shotOfFailure,
  typeLine,
} from "../browser.ts";

const PASSWORD = process.env.PERISCOPE_DEMO_PASSWORD ?? "";
const IDP = process.env.PERISCOPE_IDP ?? "";
const PODS = "/clusters/demo?namespace=shop&q=checkout";
const PROMPT = /[#$] ?$/m;

let browser: Browser;
const contexts: BrowserContext[] = [];
const errors: string[] = [];

beforeAll(async () => {
  expect(PASSWORD, "these tests need bin/demo --oidc").not.toBe("");
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(() => {
  errors.length = 0;
});
afterEach(async ({ task }) => {
  const open = contexts.splice(0);
  for (const [index, context] of open.entries()) {
    const page = context.pages()[0];
    if (page) await shotOfFailure(task, page, `-${index}`);
    await leave(context);
  }
  expect(errors).toEqual([]);
});

/** A person at a browser of their own. */
async function person(look: Look = {}): Promise<Page> {
  const context = await newContext(browser, look);
  contexts.push(context);
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  return page;
}

const signIn = (page: Page) => page.getByRole("link", { name: "Sign in with the demo's provider" });

/** From the page that was asked for to the provider's form. */
async function toProvider(page: Page, path = "/"): Promise<void> {
  await page.goto(path);
  await signIn(page).click();
  await page.getByRole("heading", { name: "Log in", exact: true }).waitFor();
}

/** Sends the provider's form. */
async function as(page: Page, who: string, password = PASSWORD): Promise<void> {
  await page.getByLabel("User").selectOption(who);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function logIn(page: Page, who: string, path = PODS): Promise<void> {
  await toProvider(page, path);
  await as(page, who);
  await page.waitForURL((url) => url.origin === new URL(address()).origin);
}

const shellButton = (page: Page) => page.getByRole("button", { name: /^Open shell in checkout-/ }).first();

/** Opens a shell from the list of pods and waits for its prompt. */
async function openShell(page: Page): Promise<void> {
  await shellButton(page).click();
  await onScreen(page, (text) => PROMPT.test(text), "a prompt");
  await focusTerminal(page);
}

interface Who {
  subject: string;
  tier: string;
  mode: string;
}

const whoami = async (page: Page): Promise<Who> => (await page.request.get("/api/whoami")).json() as Promise<Who>;

/** Takes an endpoint of the provider away, or gives it back. */
async function fault(endpoint: string, mode: "fail" | "off"): Promise<void> {
  const answer = await fetch(`${IDP}/admin/fault`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ endpoint, mode }),
  });
  expect(answer.status).toBe(204);
}

describe("each tier in the browser", () => {
  for (const [who, tier] of [
    ["omar", "triage"],
    ["lena", "write"],
    ["yuki", "maintain"],
    ["alex", "admin"],
  ] as const) {
    test(`${tier}: a shell opens`, async () => {
      const page = await person();
      await logIn(page, who);
      expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe(PODS);
      expect(await whoami(page)).toMatchObject({ subject: who, tier, mode: "oidc" });
      await expect.poll(() => shellButton(page).getAttribute("aria-disabled")).toBe("false");
      await openShell(page);
      await typeLine(page, "echo $((6*7))-answers");
      await onScreen(page, (text) => /^42-answers$/m.test(text), "the command's output");
    });
  }

  test("read: the button says which right is missing", async () => {
    const page = await person();
    await logIn(page, "ines");
    expect(await whoami(page)).toMatchObject({ subject: "ines", tier: "read" });
    await expect.poll(() => shellButton(page).getAttribute("aria-disabled")).toBe("true");
    await shellButton(page).focus();
    await expect.poll(() => page.getByRole("tooltip").textContent()).toContain("pods/exec");
    await shot(page, "oidc-read");
    await page.keyboard.press("Enter");
    await shellButton(page).click({ force: true }); // as somebody does who has not read it
    expect(await dock(page).count()).toBe(0);
    // What the page greys out the server refuses.
    const pod = ((await shellButton(page).getAttribute("aria-label")) ?? "").replace("Open shell in ", "");
    const frames = await page.evaluate(
      (path) =>
        new Promise<string>((done) => {
          const socket = new WebSocket(`ws://${window.location.host}${path}`, "v2.exec.periscope");
          let said = "";
          socket.onopen = () =>
            socket.send(JSON.stringify({ type: "open", tty: true, cols: 80, rows: 24, command: [] }));
          socket.onmessage = (message) => {
            said += String(message.data);
          };
          socket.onclose = (close) => done(`${close.code} ${said}`);
        }),
      `/api/clusters/demo/pods/shop/${pod}/exec`,
    );
    expect(frames).toMatch(/^1008 .*E_FORBIDDEN/);
  });

  test("none: the login page says so, with a request id", async () => {
    const page = await person();
    await toProvider(page);
    await as(page, "nora");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(
      /None of your groups has a tier on this server\..*Request id [0-9a-f]{24}/s,
    );
    expect((await page.request.get("/api/whoami")).status()).toBe(401);
    await shot(page, "oidc-no-tier");
    // The provider would send this person straight back; there is a way out of that.
    await page.getByRole("link", { name: "Use another account" }).click();
    await as(page, "ines");
    await page.getByRole("list", { name: "Clusters" }).waitFor();
  });

  test("a refusal is told once", async () => {
    const page = await person();
    await toProvider(page);
    await as(page, "nora");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    await page.reload();
    await signIn(page).waitFor();
    expect(await alert.count()).toBe(0);
  });
});

test("a wrong password stays at the provider, and the right one goes on", async () => {
  const page = await person();
  await toProvider(page);
  await as(page, "omar", `${PASSWORD}x`);
  await expect.poll(() => page.getByRole("alert").textContent()).toBe("This is not the password of Omar. Try again.");
  expect(await page.getByLabel("User").inputValue()).toBe("omar");
  await shot(page, "oidc-wrong-password");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("list", { name: "Clusters" }).waitFor();
});

test("signing out ends the shell, and does not sign straight in again", async () => {
  const page = await person();
  await logIn(page, "omar");
  await openShell(page);
  const other = await page.context().newPage();
  await other.goto("/settings");
  await other.getByRole("button", { name: "Sign out", exact: true }).click();
  await signIn(other).waitFor();
  // The tab with the shell hears of it by itself.
  await signIn(page).waitFor({ timeout: 60_000 });
  expect(await page.getByRole("alert").textContent()).toBe("Your sign-in has ended, and your shells with it.");
  await shot(page, "oidc-signed-out");
  await signIn(other).click();
  await other.getByLabel("Password").waitFor();
  expect((await other.request.get("/api/exec/sessions")).status()).toBe(401);
});

test("a provider that fails during the login is told, with a request id; the next try works", async () => {
  const page = await person();
  await toProvider(page);
  await fault("token", "fail");
  try {
    await as(page, "omar");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(
      /did not complete the login\. Try again in a moment.*Request id [0-9a-f]{24}/s,
    );
    await shot(page, "oidc-provider-down");
  } finally {
    await fault("token", "off");
  }
  await signIn(page).click();
  await page.getByRole("list", { name: "Clusters" }).waitFor();
});

describe("how it looks", () => {
  const looks: [name: string, look: Look][] = [
    ["light", { theme: "light" }],
    ["dark", { theme: "dark" }],
    ["phone", { theme: "light", width: 360, height: 740 }],
    ["phone-dark", { theme: "dark", width: 360, height: 740 }],
  ];
  test.for(looks)("%s", async ([name, look]) => {
    const page = await person(look);
    await page.goto(PODS);
    await signIn(page).waitFor();
    await shot(page, `oidc-login-${name}`);
    await signIn(page).click();
    await page.getByLabel("Password").waitFor();
    await shot(page, `oidc-provider-${name}`);
    await as(page, "omar", "wrong");
    await page.getByRole("alert").waitFor();
    await shot(page, `oidc-provider-wrong-${name}`);
    await as(page, "nora");
    await page.getByRole("alert").waitFor();
    await shot(page, `oidc-refused-${name}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wide).toBe(0);
  });
});
