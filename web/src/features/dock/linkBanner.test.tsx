import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Cluster } from "../../api/types.ts";
import { Store } from "../../lib/store.ts";
import { LinkBanner } from "./LinkBanner.tsx";
import type { Shell, ShellState } from "./shell.ts";

let link: Cluster["link"];
let asked: number;
let queries: QueryClient;

beforeEach(() => {
  asked = 0;
  queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  vi.stubGlobal("fetch", async () => {
    asked++;
    return Response.json({ clusters: [{ name: "edge", link }] });
  });
});
afterEach(() => {
  queries.clear();
  vi.unstubAllGlobals();
});

const at = (state: "connected" | "reconnecting" | "away") => ({
  state,
  since: new Date(Date.now() - 4_000).toISOString(),
  agentVersion: "",
});

/** Over a shell that is in this phase. */
function show(phase: ShellState["phase"]): Store<ShellState> {
  const state = new Store({ phase } as ShellState);
  render(
    <QueryClientProvider client={queries}>
      <LinkBanner shell={{ state, target: { cluster: "edge" } } as unknown as Shell} />
    </QueryClientProvider>,
  );
  return state;
}

it("says why nothing is echoed while the cluster's link is being restored, and no longer", async () => {
  link = at("reconnecting");
  show("connected");
  expect((await screen.findByRole("status")).textContent).toMatch(/being restored\. The shell waits.*4s/);
  link = at("connected");
  await act(() => queries.refetchQueries());
  await waitFor(() => expect(screen.queryByRole("status")).toBeNull());
});

it("leaves a shell alone that is not connected itself, or whose cluster has no agent", async () => {
  link = at("reconnecting");
  const state = show("reconnecting");
  expect(asked).toBe(0);
  link = null;
  act(() => state.set({ phase: "connected" } as ShellState));
  await waitFor(() => expect(asked).toBe(1));
  await waitFor(() => expect(queries.getQueryData(["clusters"])).toBeDefined());
  expect(screen.queryByRole("status")).toBeNull();
});
