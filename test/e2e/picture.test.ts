import { expect, test } from "vitest";
import { endShells, focusTerminal, launch, newContext, onScreen, SHOTS, typeLine } from "./browser.ts";

// The README’s picture: out/readme.png. Whoever changes what it shows copies it to docs/images/terminal.png.
test("a shell below the list of pods", async () => {
  const browser = await launch();
  try {
    const context = await newContext(browser, { theme: "dark", width: 1280, height: 800 });
    const page = await context.newPage();
    await page.goto("/clusters/demo");
    await page
      .getByRole("link", { name: /^checkout-/ })
      .first()
      .waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("s");
    await onScreen(page, (text) => /[#$] ?$/m.test(text), "a prompt");
    await focusTerminal(page);
    await typeLine(
      page,
      "clear; ls --color=always /etc/checkout /var/cache/checkout; env | grep -E '^(VERSION|CURRENCY)='",
    );
    await onScreen(page, (text) => /VERSION=/.test(text.split("\n").slice(1).join("\n")), "the variables");
    await typeLine(page, "printf '%s\\n' 'from a pod: 日本語 · 한국어 · 🚀'");
    expect(await onScreen(page, (text) => /^from a pod/m.test(text), "the last line")).toContain("from a pod");
    await page.screenshot({ path: `${SHOTS}readme.png` });
    await endShells(context);
  } finally {
    await browser.close();
  }
});
