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

it("says in full where one is, though the names may be cut", async () => {
  window.scrollTo = () => {};
  const root = createRootRoute({ component: () => <TopBar menu={null} user={null} onPalette={() => {}} /> });
  const routes = ["/clusters", "/clusters/$cluster", "/clusters/$cluster/pods/$namespace/$pod"].map((path) =>
    createRoute({ getParentRoute: () => root, path }),
  );
  const history = createMemoryHistory({ initialEntries: ["/clusters/prod-eu/pods/shop/web-0"] });
  const router = createRouter({ routeTree: root.addChildren(routes), history });
  render(<RouterProvider router={router as never} />);
  const links = within(await screen.findByRole("navigation", { name: "Breadcrumb" })).getAllByRole("link");
  expect(links.map((link) => [link.textContent, link.title])).toEqual([
    ["Clusters", ""],
    ["prod-eu", "prod-eu"],
    ["shop", "shop"],
    ["web-0", "web-0"],
  ]);
});
