import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { TerminalEvents } from "../../term/terminal.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { useRowKeys } from "../../ui/useRowKeys.ts";
import { Dock } from "./Dock.tsx";
import { fakeBrowser, fakeTerminal, loading, sockets, terminals } from "./fakes.ts";
import { endAllShells } from "./restore.ts";
import { dock, openShell } from "./store.ts";

vi.mock("../../term/terminal.ts", () => ({ createTerminal: (events: TerminalEvents) => fakeTerminal(events) }));

const TARGET = { cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "" };

let loaded: () => void;

/** A list of pods, and what its keys open. */
function List() {
  useRowKeys({
    ids: ["web-0"],
    reveal: () => {},
    open: () => openShell(TARGET),
    actions: { s: () => openShell(TARGET) },
  });
  return (
    <button type="button" onClick={() => openShell(TARGET)}>
      Open shell
    </button>
  );
}

beforeEach(() => {
  fakeBrowser();
  sessionStorage.clear();
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ clusters: [] })));
  loading.until = new Promise((resolve) => {
    loaded = resolve;
  });
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TipProvider>
        <List />
        <Dock owner="ada" hiddenSeconds={0} signIn={() => {}} />
      </TipProvider>
    </QueryClientProvider>,
  );
});
afterEach(() => {
  act(endAllShells);
  vi.unstubAllGlobals();
});

/** Presses a key wherever the keyboard is; Enter on a button presses that. */
function press(key: string, repeat = false): void {
  const at = document.activeElement ?? document.body;
  fireEvent.keyDown(at, { key, repeat });
  if (key === "Enter" && at instanceof HTMLButtonElement) fireEvent.click(at);
}

const shells = () => dock.get().shells;

it("takes the keyboard before its terminal is there: what is typed opens no more shells", async () => {
  screen.getByRole("button", { name: "Open shell" }).focus();
  press("Enter");
  expect(shells()).toHaveLength(1);
  expect(screen.getByRole("tabpanel").contains(document.activeElement)).toBe(true);
  for (const key of ["j", "l", "s", "Enter"]) press(key);
  expect(shells()).toHaveLength(1);
  loaded();
  await vi.waitFor(() => expect(sockets).toHaveLength(1));
  expect(terminals[0]?.focused).toBe(1);
});

it("leaves the keys to the page where the keyboard is there, and one that is held opens one", () => {
  press("j");
  press("s", true);
  expect(shells()).toHaveLength(0);
  press("s");
  expect(shells()).toHaveLength(1);
  act(() => screen.getByRole("button", { name: "Open shell" }).focus());
  press("s");
  press("s", true);
  expect(shells()).toHaveLength(2);
});
