import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { Cluster } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { PodsPage, type PodsSearch } from "./PodsPage.tsx";

const NAMESPACES: [number, unknown] = [200, { namespaces: [{ name: "shop" }, { name: "empty" }] }];
const FORBIDDEN: [number, unknown] = [403, { error: "E_FORBIDDEN", message: "You may not list the namespaces." }];

afterEach(() => vi.unstubAllGlobals());

/** Opens a list without pods, and waits until it has all that it asked for. */
async function open(search: PodsSearch, [status, body]: [number, unknown]) {
  window.scrollTo = () => {};
  vi.stubGlobal("fetch", async (path: string) => {
    if (path.endsWith("/namespaces")) return Response.json(body, { status });
    return Response.json(path.includes("/pods") ? { pods: [] } : { results: [] });
  });
  const onSearch = vi.fn();
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const page = () => (
    <PodsPage
      cluster={{ name: "demo", execEnabled: true } as Cluster}
      search={search}
      onSearch={onSearch}
      who="alice"
      tier=""
      onOpenShell={() => {}}
    />
  );
  const router = createRouter({
    routeTree: createRootRoute({ component: page }),
    history: createMemoryHistory({ initialEntries: ["/"] }),
  });
  render(
    <QueryClientProvider client={queries}>
      <TipProvider>
        <RouterProvider router={router as never} />
      </TipProvider>
    </QueryClientProvider>,
  );
  await screen.findByRole("heading", { level: 2 });
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  return onSearch;
}

it.each([{ ns: "nope" }, { ns: "nope", q: "web" }])("says that there is no such namespace: %o", async (search) => {
  const onSearch = await open(search, NAMESPACES);
  await screen.findByText("There is no namespace nope");
  expect(screen.queryByText(/appear here by themselves/)).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Show all namespaces" }));
  expect(onSearch).toHaveBeenCalledWith({ ns: undefined });
});

it.each([
  ["one that is there", "empty", NAMESPACES],
  ["one of which nothing is known", "nope", FORBIDDEN],
])("waits for the pods of %s", async (_, ns, answer) => {
  await open({ ns }, answer);
  await screen.findByText(`No pods in ${ns}`);
  expect(screen.getByText(/appear here by themselves/)).toBeTruthy();
  expect(screen.queryByText(/There is no namespace/)).toBeNull();
});

it("knows no namespace where none is asked for", async () => {
  await open({}, NAMESPACES);
  await screen.findByText("No pods in this cluster");
});
