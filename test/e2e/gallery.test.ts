import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { agentCame, demoAway, demoBehind, link, noAgents, withAgents, withLinks } from "./agents.ts";
import { address, dock, focusTerminal, launch, looks, NARROW, newContext, onScreen, WIDE } from "./browser.ts";

let browser: Browser;
let profile: BrowserContext; // of all windows: it loads the page's files once
beforeAll(async () => {
  browser = await launch();
  profile = await newContext(browser);
  await otherBrowsers();
});
afterAll(() => browser.close());

const POD = /^checkout-/;

/**
 * Goes where a link would lead, without loading the page again: what the browser has compiled of it and of axe it need
 * not compile for each picture. A page on which one is already is loaded, so that nothing lies over it.
 */
async function visit(page: Page, path: string): Promise<void> {
  const to = new URL(path, address());
  const at = page.url() === "about:blank" ? to : new URL(page.url());
  if (to.pathname === at.pathname) await page.goto(path);
  else await page.evaluate((next) => history.pushState(null, "", next), path);
}

async function firstPod(page: Page): Promise<string> {
  await visit(page, "/clusters/demo");
  const link = page.getByRole("link", { name: POD }).first();
  await link.waitFor();
  return (await link.getAttribute("href")) ?? "";
}

type Steps = Record<string, (page: Page) => Promise<void>>;

/** What opens no shell. All share one window. */
const alone: Steps = {
  clusters: async (page) => {
    await visit(page, "/");
    await page.getByRole("list", { name: "Clusters" }).waitFor();
  },
  pods: async (page) => {
    await visit(page, "/clusters/demo");
    await page.getByRole("link", { name: POD }).first().waitFor();
  },
  "cli-question": async (page) => {
    const ask = {
      host: "ada-laptop",
      challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      state: "0123456789abcdef",
      port: 4711,
    };
    const answer = await page.request.post("/api/auth/cli/browser", {
      data: ask,
      headers: { "User-Agent": "periscope/1.4.0" },
    });
    await visit(page, (await answer.json()).page);
    await page.getByRole("button", { name: "Allow" }).waitFor();
  },
  "cli-code": async (page) => {
    await visit(page, "/cli");
    await page.getByLabel("Code").fill("bcdfgh");
    await page.getByText("Only type a code that you see").waitFor();
  },
  "cli-over": async (page) => {
    await visit(page, "/cli?ask=AAAAAAAAAAAAAAAAAAAAAAAAAA");
    await page.getByRole("heading", { name: "This login is over" }).waitFor();
  },
  "cli-refused": async (page) => {
    const answer = await page.request.post("/api/auth/cli/device", { data: { host: "build-7" } });
    await visit(page, "/cli");
    await page.getByLabel("Code").fill((await answer.json()).userCode);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: "Refuse" }).click();
    await page.getByRole("heading", { name: "Refused" }).waitFor();
  },
  "pods-none-match": async (page) => {
    await visit(page, "/clusters/demo?q=nothing-is-called-so");
    await page.getByText("No pod matches").waitFor();
  },
  pod: async (page) => {
    await visit(page, await firstPod(page));
    await page.getByRole("list", { name: "Containers" }).waitFor();
  },
  "pod-events": async (page) => {
    await visit(page, await firstPod(page));
    await page.getByRole("tab", { name: "Events" }).click();
    await page.getByRole("list", { name: "Events" }).waitFor();
  },
  "pod-gone": async (page) => {
    await visit(page, "/clusters/demo/pods/shop/no-such-pod");
    await page
      .getByText(/no-such-pod/)
      .first()
      .waitFor();
    await page.getByRole("heading").first().waitFor();
  },
  "cluster-unknown": async (page) => {
    await visit(page, "/clusters/nowhere");
    await page
      .getByText(/nowhere/)
      .first()
      .waitFor();
    await page.getByRole("heading").first().waitFor();
  },
  "sessions-none": async (page) => {
    await visit(page, "/sessions?mine=true");
    await page.getByText("You have no shell open").waitFor({ timeout: 20_000 });
  },
  "pods-without-shells": async (page) => {
    await visit(page, "/clusters/locked");
    await page.getByRole("link", { name: POD }).first().waitFor();
  },
  "pod-without-shells": async (page) => {
    await visit(page, "/clusters/locked/pods/tools/toolbox");
    await page.getByRole("list", { name: "Containers" }).waitFor();
  },
  settings: async (page) => {
    await visit(page, "/settings");
    await page.getByRole("heading", { name: "Settings" }).waitFor();
  },
  "user-menu": async (page) => {
    await visit(page, "/clusters");
    await page.getByRole("list", { name: "Clusters" }).waitFor();
    await page.getByRole("button", { name: /^Account of/ }).click();
    await page.getByRole("menuitem", { name: "Your sessions" }).waitFor();
  },
  "sign-out-everywhere": async (page) => {
    await someTokens(page);
    await visit(page, "/account/sessions");
    await page.getByText("This browser").waitFor();
    await page.getByRole("button", { name: "Sign out everywhere…" }).click();
    await page.getByRole("dialog", { name: "Sign out everywhere?" }).getByText("this one too").waitFor();
  },
  "tokens-none": async (page) => {
    await visit(page, "/account/tokens");
    await page.getByRole("heading", { name: "Access tokens" }).waitFor();
    await page.request.delete("/api/auth/tokens");
    await page.reload();
    await page.getByText("You have no token").waitFor();
  },
  tokens: async (page) => {
    await someTokens(page);
    await page.getByText("nightly-report").waitFor();
  },
  "tokens-everybody": async (page) => {
    await someTokens(page);
    await page.getByRole("button", { name: "Everybody’s" }).click();
    await page.getByText("(you)").first().waitFor();
  },
  "token-new": async (page) => {
    await someTokens(page);
    await page.getByRole("button", { name: "New token" }).click();
    const dialog = page.getByRole("dialog", { name: "New access token" });
    await dialog.getByLabel("Only these").check();
    await dialog.getByLabel("strict").check();
    await dialog.getByLabel("Name").fill("deploy-bot");
    await dialog.getByText("You have a token of this name").waitFor();
  },
  "token-made": async (page) => {
    await visit(page, "/account/tokens");
    await page.getByRole("heading", { name: "Access tokens" }).waitFor();
    await page.request.delete("/api/auth/tokens");
    await page.reload();
    await page.getByRole("button", { name: "New token" }).click();
    await page.getByLabel("Name").fill("deploy-bot");
    await page.getByRole("button", { name: "Make token" }).click();
    await page.getByTestId("new-token").waitFor();
  },
  "token-revoke": async (page) => {
    await someTokens(page);
    await page.getByRole("button", { name: "Revoke deploy-bot" }).click();
    await page.getByRole("dialog", { name: "Revoke deploy-bot?" }).waitFor();
  },
  why: async (page) => {
    await visit(page, "/clusters/strict/pods/tools/toolbox");
    await page
      .getByRole("button", { name: /^Open shell/ })
      .first()
      .click();
    await page.getByRole("dialog", { name: "Open shell" }).waitFor();
  },
};

/** Agents and their links, by answers that are made up. */
const linked: Steps = {
  "clusters-links": async (page) => {
    await withLinks(page);
    await page.goto("/clusters");
    await page.getByText("no agent yet").waitFor();
  },
  "pods-reconnecting": async (page) => {
    await demoBehind(page, link("reconnecting", 4));
    await page.goto("/clusters/demo");
    await page.getByRole("link", { name: POD }).first().waitFor();
    await page.getByText("demo is reconnecting.").waitFor();
  },
  "pods-went-away": async (page) => {
    await page.goto("/clusters/demo");
    await page.getByRole("link", { name: POD }).first().waitFor();
    const gone = link("away", 2);
    await demoBehind(page, gone);
    await demoAway(page, gone.since);
    await page.getByText("demo is away.").waitFor();
  },
  "pods-away": async (page) => {
    const gone = link("away", 130);
    await demoBehind(page, gone);
    await demoAway(page, gone.since);
    await page.goto("/clusters/demo");
    await page.getByRole("heading", { name: "The cluster’s agent is away" }).waitFor();
  },
  "pod-reconnecting": async (page) => {
    await demoBehind(page, link("reconnecting", 4));
    await page.goto("/clusters/demo/pods/tools/toolbox");
    await page.getByText("demo is reconnecting.").waitFor();
    await page.getByRole("list", { name: "Containers" }).waitFor();
  },
  agents: async (page) => {
    await agentsPage(page);
  },
  "agents-none": async (page) => {
    await noAgents(page);
    await page.goto("/agents");
    await page.getByText("No cluster is reached through an agent").waitFor();
  },
  "agent-add": async (page) => {
    await agentsPage(page);
    await page.getByRole("button", { name: "Add cluster" }).click();
    await page.getByRole("radio", { name: /^factory-lyon/ }).check();
    await page.getByText("A cluster that is not listed").click();
    await page.getByText("Lines for clusters.yaml").waitFor();
  },
  "agent-token": async (page) => {
    await agentsPage(page);
    await makeToken(page);
    await page.getByText("Waiting for the agent").waitFor();
  },
  "agent-expired": async (page) => {
    await agentsPage(page, -1);
    await makeToken(page);
    await page.getByText("The token has expired").waitFor();
  },
  "agent-connected": async (page) => {
    await agentsPage(page);
    await makeToken(page);
    await agentCame(page, NEW_CLUSTER);
    await page.getByText("Connected, agent 1.4.0").waitFor();
  },
  "agent-revoke": async (page) => {
    await agentsPage(page);
    await page.getByRole("button", { name: "Revoke shop-floor-7" }).click();
    await page.getByRole("dialog", { name: "Revoke the agent of shop-floor-7?" }).waitFor();
  },
};

const NEW_CLUSTER = "warehouse-onprem-eu-central-2";

async function agentsPage(page: Page, tokenLeft?: number): Promise<void> {
  await withLinks(page);
  await withAgents(page, tokenLeft);
  await page.goto("/agents");
  await page.getByText("given-up").waitFor();
}

async function makeToken(page: Page): Promise<void> {
  await page.getByRole("button", { name: `Connect ${NEW_CLUSTER}` }).click();
  await page.getByRole("button", { name: "Make token" }).click();
  await page.getByRole("dialog", { name: `Connect ${NEW_CLUSTER}` }).waitFor();
}

/** What opens a shell of its own. */
const withShell: Steps = {
  shell: async (page) => {
    await page.goto(await firstPod(page));
    await page
      .getByRole("button", { name: /^Open shell/ })
      .first()
      .click();
    await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
    await dock(page).waitFor();
  },
  idle: async (page) => {
    await page.goto("/clusters/strict/pods/tools/toolbox");
    await openWithReason(page);
    await page.getByRole("button", { name: "Stay" }).waitFor({ timeout: 20_000 });
  },
};

/** What is shown of two shells in another window. */
const besideShells: Steps = {
  sessions: async (page) => {
    await page.goto("/sessions");
    await expect
      .poll(() =>
        page
          .getByRole("row")
          .filter({ hasText: /^toolbox|^storefront/ })
          .count(),
      )
      .toBe(2);
  },
  "sessions-end": async (page) => {
    await page.goto("/sessions");
    await page.getByRole("button", { name: /^End the shell in storefront/ }).click();
    await page.getByRole("dialog", { name: "End this shell?" }).waitFor();
  },
  "sessions-none-match": async (page) => {
    await page.goto("/sessions?q=nothing-is-called-so");
    await page.getByText("No shell matches").waitFor();
  },
  limit: async (page) => {
    await page.goto("/clusters/strict/pods/tools/toolbox");
    await openWithReason(page);
    await page.getByRole("dialog", { name: /^You are already in/ }).waitFor();
  },
  "your-sessions": async (page) => {
    await page.goto("/account/sessions");
    await page.getByText("This browser").waitFor();
    await expect
      .poll(() =>
        page
          .getByRole("row")
          .filter({ hasText: /^toolbox|^storefront/ })
          .count(),
      )
      .toBe(2);
  },
};

/** The page of tokens with some on it, one of which ends soon and one never used. */
async function someTokens(page: Page): Promise<void> {
  await visit(page, "/account/tokens");
  await page.getByRole("heading", { name: "Access tokens" }).waitFor();
  await page.request.delete("/api/auth/tokens");
  const day = 24 * 3600;
  const wishes = [
    { name: "nightly-report", scopes: ["read"], lifetimeSeconds: 90 * day },
    { name: "Ada’s laptop, terminal", scopes: ["read", "exec", "admin"], lifetimeSeconds: 5 * day },
    { name: "deploy-bot", scopes: ["read", "exec"], clusters: ["demo", "strict"], lifetimeSeconds: 30 * day },
  ];
  for (const data of wishes) {
    const made = await (await page.request.post("/api/auth/tokens", { data })).json();
    if (data.name === "nightly-report") continue;
    await fetch(new URL("/api/whoami", page.url()), { headers: { Authorization: `Bearer ${made.secret}` } });
  }
  await page.reload();
  await page.getByText("deploy-bot").waitFor();
}

async function openWithReason(page: Page): Promise<void> {
  await page
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  const dialog = page.getByRole("dialog", { name: "Open shell" });
  await dialog.getByLabel(/^Why/).fill("INC-4711: checkout answers 502 since 09:14");
  await dialog.getByRole("button", { name: "Open shell" }).click();
}

/** Logins from elsewhere, for the page that lists them. */
async function otherBrowsers(): Promise<void> {
  const agents = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
  ];
  for (const agent of [...agents, ...agents]) {
    const answer = await fetch(new URL("/api/auth/dev", address()), {
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": agent },
      body: "{}",
    });
    expect(answer.status).toBe(200);
  }
}

/** Ends every shell, and waits until none is left. */
async function endShells(page: Page): Promise<void> {
  const open = async (): Promise<{ sessionId: string }[]> =>
    (await (await page.request.get("/api/exec/sessions")).json()).sessions;
  for (const { sessionId } of await open()) await page.request.delete(`/api/exec/sessions/${sessionId}`);
  await vi.waitFor(async () => expect(await open()).toEqual([]), { timeout: 20_000 });
}

/** Opens two shells in a window. */
async function twoShells(other: Page): Promise<void> {
  await other.goto("/clusters/demo/pods/tools/toolbox");
  await other
    .getByRole("button", { name: /^Open shell/ })
    .first()
    .click();
  await onScreen(other, (text) => /[#$] ?$/m.test(text), "a prompt");
  await other.getByRole("link", { name: "Clusters", exact: true }).first().click();
  await other.getByRole("list", { name: "Clusters" }).getByRole("link", { name: "strict" }).click();
  await other
    .getByRole("link", { name: /^storefront-/ })
    .first()
    .click();
  await other
    .getByRole("button", { name: /^Open shell in/ })
    .first()
    .click();
  const dialog = other.getByRole("dialog", { name: "Open shell" });
  await dialog.getByLabel(/^Why/).fill("INC-4711: checkout answers 502 since 09:14");
  await dialog.getByRole("button", { name: "Open shell" }).click();
  await dock(other)
    .getByRole("tab", { name: /connected/ })
    .nth(1)
    .waitFor();
}

/**
 * What has to be seen to where the window becomes another one: what stands at a point of it is opened again, and the shell
 * that learns its new size is idle again.
 */
const again: Steps = {
  pods: async (page) => {
    const rows = page.getByRole("table", { name: "Pods" }).getByRole("row");
    await rows.filter({ hasText: POD }).first().waitFor();
    const standOut = () =>
      rows.evaluateAll((all) => all.filter((row) => row.scrollHeight > row.clientHeight + 1).length);
    await expect.poll(standOut, { timeout: 3_000 }).toBe(0); // the next answer measures all rows anew
  },
  "user-menu": async (page) => {
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /^Account of/ }).click();
    await page.getByRole("menuitem", { name: "Your sessions" }).waitFor();
  },
  idle: async (page) => {
    const stay = page.getByRole("button", { name: "Stay" });
    await stay.waitFor({ state: "hidden" });
    await stay.waitFor({ timeout: 20_000 });
  },
};

/** Tests of steps, each in the window that at() names, wide and narrow. */
function inPictures(steps: Steps, at: () => Page): void {
  test.each(Object.keys(steps))("%s", async (name) => {
    await at().setViewportSize({ width: WIDE, height: 900 });
    await steps[name]?.(at());
    expect(await looks(at(), name, WIDE)).toEqual([]);
    await at().setViewportSize({ width: NARROW, height: 740 });
    await again[name]?.(at());
    expect(await looks(at(), name, NARROW)).toEqual([]);
  });
}

let page: Page;

describe("without a shell", () => {
  beforeAll(async () => {
    page = await profile.newPage();
  });
  afterAll(() => page.close());
  inPictures(alone, () => page);
});

describe("of clusters behind agents", () => {
  beforeAll(async () => {
    page = await profile.newPage();
  });
  afterEach(() => page.unrouteAll({ behavior: "ignoreErrors" }));
  afterAll(() => page.close());
  inPictures(linked, () => page);
});

describe("with a shell", () => {
  beforeEach(async () => {
    page = await profile.newPage();
  });
  afterEach(async () => {
    await endShells(page);
    await page.close();
  });
  inPictures(withShell, () => page);
});

describe("beside two shells", () => {
  let other: Page;
  beforeAll(async () => {
    other = await profile.newPage();
    await twoShells(other);
  });
  afterAll(async () => {
    await endShells(other);
    await other.close();
  });
  beforeEach(async () => {
    await focusTerminal(other);
    await other.keyboard.press("Space"); // the cluster that asks why ends what is idle
    page = await profile.newPage();
  });
  afterEach(() => page.close());
  inPictures(besideShells, () => page);
});
