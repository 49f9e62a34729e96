import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import { TopBar } from "./TopBar.tsx";

async function linksAt(address: string): Promise<HTMLElement[]> {
  window.scrollTo = () => {};
  const root = createRootRoute({ component: () => <TopBar menu={null} user={null} onPalette={() => {}} /> });
  const routes = ["/agents", "/clusters", "/clusters/$cluster", "/clusters/$cluster/pods/$namespace/$pod"].map((path) =>
    createRoute({ getParentRoute: () => root, path }),
  );
  const history = createMemoryHistory({ initialEntries: [address] });
  const router = createRouter({ routeTree: root.addChildren(routes), history });
  render(<RouterProvider router={router as never} />);
  return within(await screen.findByRole("navigation", { name: "Breadcrumb" })).getAllByRole("link");
}

it("says in full where one is, though the names may be cut", async () => {
  const links = await linksAt("/clusters/prod-eu/pods/shop/web-0");
  expect(links.map((link) => [link.textContent, link.title])).toEqual([
    ["Clusters", ""],
    ["prod-eu", "prod-eu"],
    ["shop", "shop"],
    ["web-0", "web-0"],
  ]);
});

it.each(["/agents", "/agents?add=prod-eu"])("marks the page one is on at %s", async (address) => {
  const [link] = await linksAt(address);
  expect([link?.textContent, link?.getAttribute("aria-current")]).toEqual(["Agents", "page"]);
});
