import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { PodSummary } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { PodTable } from "./PodTable.tsx";

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
  const table = () => (
    <PodTable
      cluster="demo"
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
  const router = createRouter({
    routeTree: createRootRoute({ component: table }),
    history: createMemoryHistory(),
  });
  render(
    <TipProvider>
      <RouterProvider router={router as never} />
    </TipProvider>,
  );
  return (await screen.findByRole("table", { name: "Pods" })).parentElement as HTMLElement;
}

const current = () => screen.getAllByRole("row").find((row) => row.getAttribute("aria-current"));

it("keeps the whole row under the cursor in sight, between the header and the edge", async () => {
  const scroller = await open();
  const seen = () => {
    const top = HEADER + Number.parseFloat(current()?.style.top ?? "") - scroller.scrollTop;
    return top >= HEADER && top + ROW <= SIGHT;
  };
  for (const key of [..."j".repeat(pods.length), ..."k".repeat(pods.length)]) {
    await act(async () => void fireEvent.keyDown(window, { key }));
    expect(seen(), current()?.textContent ?? "no row").toBe(true);
  }
});
