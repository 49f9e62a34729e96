import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { TipProvider } from "../../ui/Tip.tsx";
import { PasteDialog } from "./PasteDialog.tsx";
import { pasteOf } from "./paste.ts";
import type { Shell } from "./shell.ts";

it.each([
  ["one", "a\u0003b", /holds a control character, which does something/],
  ["two", "a\u0003b\u0003", /holds control characters, which do something/],
])("says of %s what a paste holds beside its letters", (_, text, words) => {
  const shell = { id: "1", target: { pod: "web-0" } } as Shell;
  render(<PasteDialog pasting={{ shell, paste: pasteOf(text, false) }} />, { wrapper: TipProvider });
  expect(screen.getByRole("dialog").textContent).toMatch(words);
});
