import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dock, launch, newContext, onScreen, shot } from "./browser.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** What axe finds wrong on the page as it is, one line a rule. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    // The terminal's own cells are xterm's business; its colours are checked by unit tests.
    const result = await (window as any).axe.run({ exclude: [[".xterm"]] }, { runOnly: ["wcag2a", "wcag2aa"] });
    return result.violations.map((v: any) => `${v.id}: ${v.nodes.map((n: any) => n.target.join(" ")).join(", ")}`);
  });
  return found;
}

const POD = /^checkout-/;

async function firstPod(page: Page): Promise<string> {
  await page.goto("/clusters/demo");
  const link = page.getByRole("link", { name: POD }).first();
  await link.waitFor();
  return (await link.getAttribute("href")) ?? "";
}

const steps: Record<string, (page: Page) => Promise<void>> = {
  clusters: async (page) => {
    await page.goto("/");
    await page.getByRole("list", { name: "Clusters" }).waitFor();
  },
  pods: async (page) => {
    await page.goto("/clusters/demo");
    await page.getByRole("link", { name: POD }).first().waitFor();
  },
  "pods-none-match": async (page) => {
    await page.goto("/clusters/demo?q=nothing-is-called-so");
    await page.getByText("No pod matches").waitFor();
  },
  pod: async (page) => {
    await page.goto(await firstPod(page));
    await page.getByRole("list", { name: "Containers" }).waitFor();
  },
  "pod-events": async (page) => {
    await page.goto(await firstPod(page));
    await page.getByRole("tab", { name: "Events" }).click();
    await page.getByRole("list", { name: "Events" }).waitFor();
  },
  "pod-gone": async (page) => {
    await page.goto("/clusters/demo/pods/shop/no-such-pod");
    await page.getByText(/no-such-pod/).first().waitFor();
    await page.getByRole("heading").first().waitFor();
  },
  "cluster-unknown": async (page) => {
    await page.goto("/clusters/nowhere");
    await page.getByText(/nowhere/).first().waitFor();
    await page.getByRole("heading").first().waitFor();
  },
  shell: async (page) => {
    await page.goto(await firstPod(page));
    await page.getByRole("button", { name: /^Open shell/ }).first().click();
    await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
    await dock(page).waitFor();
  },
};

for (const theme of ["light", "dark"] as const) {
  for (const width of [1440, 360]) {
    describe(`${theme}, ${width} px`, () => {
      test.each(Object.keys(steps))("%s", async (name) => {
        const context = await newContext(browser, { theme, width, height: width === 360 ? 740 : 900 });
        try {
          const page = await context.newPage();
          await steps[name]?.(page);
          await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect?.getComputedTiming().iterations !== Infinity).map((a) => a.finished.catch(() => undefined))));
          await shot(page, `${name}-${theme}-${width}`);
          expect(await violations(page)).toEqual([]);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
          expect(wide, "the page scrolls sideways").toBe(false);
        } finally {
          await context.close();
        }
      });
    });
  }
}
