import { act, render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { Store } from "../../lib/store.ts";
import { PasteProgress } from "./PasteProgress.tsx";
import type { Shell, ShellState } from "./shell.ts";

it("shows how much of a paste waits, and says once that it does", () => {
  const state = new Store({ waiting: 2_048 } as ShellState);
  render(<PasteProgress shell={{ state } as Shell} />);
  /** What is read out whenever it changes. */
  const said = () =>
    [...screen.getByRole("status").querySelectorAll("span")]
      .filter((part) => !part.closest("[aria-hidden]"))
      .map((part) => part.textContent)
      .join("");
  const before = said();
  expect(before).toMatch(/^Your paste waits/);
  expect(screen.getByText(/^2\.0 KiB of your paste/)).toBeTruthy();
  act(() => state.set({ waiting: 1_024 } as ShellState));
  expect(screen.getByText(/^1\.0 KiB of your paste/)).toBeTruthy();
  expect(said()).toBe(before);
  act(() => state.set({ waiting: 0 } as ShellState));
  expect(screen.queryByRole("status")).toBeNull();
});
