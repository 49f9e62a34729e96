import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  Outlet,
  RouterProvider,
} from "@tanstack/react-router";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { PodSummary } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { PodTable } from "./PodTable.tsx";
import { keepPlace, placeOf } from "./places.ts";

const [SIGHT, HEADER, ROW] = [300, 32, 34];
const pods = Array.from({ length: 30 }, (_, i) => ({
  uid: `u${i}`,
  name: `web-${String(i).padStart(2, "0")}`,
  namespace: "shop",
  status: "Running",
  phase: "Running",
  createdAt: "2026-01-10T12:00:00Z",
})) as PodSummary[];

beforeEach(() => {
  // What jsdom does not lay out: a scroller in which some rows are in sight.
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(SIGHT);
  vi.spyOn(Element.prototype, "scrollHeight", "get").mockReturnValue(HEADER + pods.length * ROW);
  Element.prototype.scrollTo = function (this: Element, to?: ScrollToOptions | number) {
    if (typeof to !== "object") return;
    this.scrollTop = to.top ?? 0;
    queueMicrotask(() => this.dispatchEvent(new Event("scroll")));
  };
  window.scrollTo = () => {};
  return () => vi.restoreAllMocks();
});

async function open() {
  const table = (namespace: string) => (
    <PodTable
      cluster="demo"
      namespace={namespace}
      pods={pods}
      shown={["name"]}
      sort={{ id: "name", desc: false }}
      onSort={() => {}}
      changed={new Set()}
      shells={false}
      whyNoShell={() => ""}
      onOpenShell={() => {}}
      onOpenPod={() => {}}
    />
  );
  const root = createRootRoute({ component: Outlet });
  const list = createRoute({
    getParentRoute: () => root,
    path: "/list",
    validateSearch: ({ ns }: Record<string, unknown>) => ({ ns: typeof ns === "string" ? ns : "" }),
    component: function List() {
      const { ns } = list.useSearch();
      // Another namespace's pods come later.
      return <div key={ns}>{table(ns)}</div>;
    },
  });
  const pod = createRoute({ getParentRoute: () => root, path: "/pod", component: () => <h1>a pod</h1> });
  const history = createMemoryHistory({ initialEntries: ["/list"] });
  const router = createRouter({ routeTree: root.addChildren([list, pod]), history });
  render(
    <TipProvider>
      <RouterProvider router={router as never} />
    </TipProvider>,
  );
  await scroller();
  const go = (to: string, ns?: string) => act(async () => router.navigate({ to, search: { ns } } as never));
  const back = () => act(async () => history.back());
  return { go, back };
}

async function scroller() {
  return (await screen.findByRole("table", { name: "Pods" })).parentElement as HTMLElement;
}

const press = (key: string) => act(async () => void fireEvent.keyDown(window, { key }));
const current = () => screen.getAllByRole("row").find((row) => row.getAttribute("aria-current"));

it("keeps the whole row under the cursor in sight, between the header and the edge", async () => {
  await open();
  const element = await scroller();
  const seen = () => {
    const top = HEADER + Number.parseFloat(current()?.style.top ?? "") - element.scrollTop;
    return top >= HEADER && top + ROW <= SIGHT;
  };
  for (const key of [..."j".repeat(pods.length), ..."k".repeat(pods.length)]) {
    await press(key);
    expect(seen(), current()?.textContent ?? "no row").toBe(true);
  }
});

describe("coming back to the list", () => {
  /** Where it is, and the row with the cursor. */
  const place = async () => [(await scroller()).scrollTop, current()?.textContent ?? ""];
  const leaveAt = async (go: (to: string) => Promise<void>) => {
    for (let i = 0; i < 20; i++) await press("j");
    const left = await place();
    expect(left).toEqual([20 * ROW + HEADER - SIGHT, expect.stringContaining("web-19")]);
    await go("/pod");
    await screen.findByRole("heading", { name: "a pod" });
    return left;
  };

  it("finds the place where it was left", async () => {
    const { go, back } = await open();
    const left = await leaveAt(go);
    await back();
    expect(await place()).toEqual(left);
    // The rows there are drawn, and the keys go on from there.
    expect(screen.getByText("web-15")).toBeTruthy();
    await press("k");
    expect(current()?.textContent).toContain("web-18");
  });

  it("begins anew by a link", async () => {
    const { go } = await open();
    await leaveAt(go);
    await go("/list");
    expect(await place()).toEqual([0, ""]);
  });

  it("begins anew in another namespace", async () => {
    const { go, back } = await open();
    const left = await leaveAt(go);
    await back();
    await go("/list", "shop");
    expect(await place()).toEqual([0, ""]);
    await back();
    expect(await place()).toEqual(left);
  });
});

it("keeps no more places than the last fifty", () => {
  for (let i = 0; i < 51; i++) keepPlace(`v${i}`, "demo/", { offset: i, rowId: "" });
  expect([placeOf("v0", "demo/"), placeOf("v1", "demo/")?.offset]).toEqual([undefined, 1]);
  keepPlace("v1", "demo/", { offset: 7, rowId: "" });
  keepPlace("v51", "demo/", { offset: 51, rowId: "" });
  expect([placeOf("v1", "demo/")?.offset, placeOf("v2", "demo/"), placeOf("v1", "demo/shop")]).toEqual([
    7,
    undefined,
    undefined,
  ]);
});
