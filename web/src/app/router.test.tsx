import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { Whoami } from "../api/types.ts";
import { endAllShells } from "../features/dock/restore.ts";
import { dock, newShell, setLayout, show } from "../features/dock/store.ts";
import { TipProvider } from "../ui/Tip.tsx";
import { Pages, router } from "./router.tsx";

afterEach(() => {
  act(endAllShells);
  vi.unstubAllGlobals();
});

const ALICE = {
  subject: "alice",
  email: "alice@example.com",
  tier: "",
  admin: false,
  groups: [] as string[],
} as Whoami;
const BOB: Whoami = { ...ALICE, subject: "bob", email: "bob@example.com" };
const TARGET = { cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "" };

function pages(who: Whoami) {
  return (
    <QueryClientProvider client={queries}>
      <TipProvider>
        <Pages who={who} />
      </TipProvider>
    </QueryClientProvider>
  );
}
const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });

it("names at once whose login it is now, and ends no shell of theirs later", async () => {
  window.scrollTo = () => {};
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  window.history.replaceState(null, "", "/settings");
  const { rerender } = render(pages(ALICE));
  await screen.findAllByText("alice@example.com");
  rerender(pages(BOB));
  await screen.findAllByText("bob@example.com");
  expect(screen.queryByText("alice@example.com")).toBeNull();
  act(() => {
    show(newShell(TARGET));
    // Out of view, so that no terminal is loaded for it.
    setLayout("minimised");
  });
  await act(() => router.navigate({ to: "/clusters" }));
  expect(dock.get().shells).toHaveLength(1);
});
