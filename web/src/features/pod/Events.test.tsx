import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { KubernetesEvent } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { Events } from "./Events.tsx";

const target = { cluster: "prod", namespace: "shop", pod: "web-0" };

function event(uid: string, change: Partial<KubernetesEvent> = {}): KubernetesEvent {
  return {
    uid,
    container: "",
    type: "Normal",
    reason: "Pulled",
    message: "Container image already present on machine",
    count: 1,
    firstSeen: "2026-01-10T12:00:00Z",
    lastSeen: "2026-01-10T12:00:00Z",
    source: "kubelet",
    ...change,
  };
}

let events: KubernetesEvent[];
let client: QueryClient;

async function open(many: boolean, first: KubernetesEvent[]) {
  events = first;
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ events })));
  render(
    <QueryClientProvider client={client}>
      <TipProvider>
        <Events target={target} who="ada" many={many} />
      </TipProvider>
    </QueryClientProvider>,
  );
  await screen.findByRole("list", { name: "Events" });
}

afterEach(() => vi.unstubAllGlobals());

const rows = () => screen.getAllByRole("listitem").map((row) => row.textContent);

it("keeps apart events that say the same of two containers", async () => {
  const complaints = vi.spyOn(console, "error").mockImplementation(() => {});
  const both = [event("e-1", { container: "web" }), event("e-2", { container: "proxy" })];
  await open(true, both);
  expect(rows()).toEqual([
    expect.stringMatching(/machineweb · kubelet/),
    expect.stringMatching(/machineproxy · kubelet/),
  ]);
  // The order changes with each of them, and rows that could not be told apart would stay behind.
  for (const next of [[event("e-3", { lastSeen: "2026-01-10T12:01:00Z" }), ...both], [...both].reverse(), both]) {
    events = next;
    await act(() => client.refetchQueries());
    await vi.waitFor(() => expect(screen.getAllByRole("listitem")).toHaveLength(next.length));
  }
  expect(complaints).not.toHaveBeenCalled();
  complaints.mockRestore();
});

it("names no container where there is but one, or the event is the pod's", async () => {
  await open(false, [event("e-1", { container: "web" })]);
  expect(rows()).toEqual([expect.stringMatching(/machinekubelet/)]);
  client.setQueryData(["pod-events", "prod", "shop", "web-0"], [event("e-2", { count: 3 })]);
  await vi.waitFor(() => expect(rows()).toEqual([expect.stringMatching(/machine3 times · kubelet/)]));
});
