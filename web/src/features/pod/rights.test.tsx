import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { noteShellless, shellless } from "../../api/shells.ts";
import type { AccessResult, Cluster, Pod } from "../../api/types.ts";
import { notice } from "../../lib/notice.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { PodPage } from "./PodPage.tsx";

const pod = {
  name: "web-0",
  namespace: "shop",
  status: "Running",
  readyContainers: 1,
  totalContainers: 1,
  restarts: 0,
  createdAt: "2026-01-10T12:00:00Z",
  defaultContainer: "app",
  owner: null,
  conditions: [],
  labels: {},
  annotations: {},
  containers: [{ name: "app", kind: "container", state: "running", ready: true, restarts: 0, image: "x", ports: [] }],
} as unknown as Pod;
const cluster = { name: "prod", execEnabled: true } as Cluster;
const ASK = "Ask the owner of the cluster for it.";
const WHY = `You may not open shells in shop: your tier (read) lacks the right "create pods/exec". ${ASK}`;

let rights: AccessResult;
let refusal: object | null;
let images: string[];
let debugRight: AccessResult;
const onDebug = vi.fn();

beforeEach(() => {
  rights = { allowed: false, decided: true, reason: "You may not create pods/exec in namespace shop." };
  refusal = null;
  images = [];
  debugRight = { allowed: true, decided: true, reason: "" };
  onDebug.mockReset();
  notice.set(null);
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => {
    if (path.endsWith("/features")) return Promise.resolve(Response.json({ exec: { debugImages: images } }));
    if (String(init?.body).includes("ephemeralcontainers")) {
      return Promise.resolve(Response.json({ results: [debugRight] }));
    }
    if (path.endsWith("/can-i")) return Promise.resolve(Response.json({ results: [rights, rights] }));
    return Promise.resolve(refusal ? Response.json(refusal, { status: 403 }) : Response.json(pod));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  act(() => shellless.set(new Set()));
});

let client: QueryClient;

function open(tier: string) {
  const onOpenShell = vi.fn();
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <TipProvider>
        <PodPage
          cluster={cluster}
          target={{ cluster: "prod", namespace: "shop", pod: "web-0" }}
          tab="containers"
          onTab={() => {}}
          who={`rita@example.com, tier ${tier}`}
          tier={tier}
          onOpenShell={onOpenShell}
          onDebug={onDebug}
          onGone={() => {}}
        />
      </TipProvider>
    </QueryClientProvider>,
  );
  return onOpenShell;
}

describe("the page of a pod, for whoever may not open shells", () => {
  it("greys the buttons out and says which right is missing, in sight and to a screen reader", async () => {
    const onOpenShell = open("read");
    await screen.findByText(WHY);
    const button = screen.getByRole("button", { name: "Open shell" });
    expect(button.getAttribute("aria-disabled")).toBe("true");
    expect(document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent).toBe(WHY);
    expect(screen.getByRole("button", { name: "Open shell in app" }).getAttribute("aria-disabled")).toBe("true");
    fireEvent.click(button);
    fireEvent.click(screen.getByRole("button", { name: "Open shell in app" }));
    expect(notice.get()?.text).toBe(WHY);
    notice.set(null);
    fireEvent.keyDown(window, { key: "s" });
    expect(notice.get()?.text).toBe(WHY);
    expect(onOpenShell).not.toHaveBeenCalled();
  });

  it("says in which cluster and namespace, whatever the bar above has room for", async () => {
    open("read");
    const { parentElement } = await screen.findByRole("heading", { name: /^web-0/ });
    expect(parentElement?.textContent).toMatch(/^web-0prod · shop/);
  });

  it("names no tier where there is none", async () => {
    open("");
    await screen.findByText(`You may not open shells in shop: the right "create pods/exec" is missing. ${ASK}`);
  });

  it("leaves the decision to the server where the cluster gave no answer", async () => {
    rights = { allowed: false, decided: false, reason: "Cluster prod could not find out." };
    const onOpenShell = open("read");
    const button = await screen.findByRole("button", { name: "Open shell" });
    await waitFor(() => expect(client.isFetching()).toBe(0));
    expect(button.getAttribute("aria-disabled")).toBe("false");
    fireEvent.click(button);
    expect(onOpenShell).toHaveBeenCalledOnce();
    fireEvent.keyDown(window, { key: "s" });
    fireEvent.keyDown(window, { key: "s", repeat: true });
    expect(onOpenShell).toHaveBeenCalledTimes(2);
  });

  it("says who was refused the pod itself, and under which tier", async () => {
    const message = 'You may not read pod web-0 of namespace shop: User "rita" cannot get resource "pods".';
    refusal = { error: "E_FORBIDDEN", message, requestId: "r1" };
    open("read");
    expect((await screen.findByRole("alert")).textContent).toContain(message);
    expect(screen.getByText("rita@example.com, tier read")).toBeTruthy();
  });
});

describe("the page of a pod, for whoever debugs it", () => {
  beforeEach(() => {
    rights = { allowed: true, decided: true, reason: "" };
  });

  it("offers a debug container for each container", async () => {
    images = ["busybox:1"];
    open("admin");
    fireEvent.click(await screen.findByRole("button", { name: "Debug container for app" }));
    expect(onDebug).toHaveBeenCalledWith(pod, "app", "busybox:1");
  });

  it("offers none where no image is listed, and says whom to ask where one is missed", async () => {
    open("admin");
    await screen.findByRole("button", { name: "Open shell in app" });
    expect(screen.queryByRole("button", { name: /Debug/ })).toBeNull();
    act(() => noteShellless({ cluster: "prod", namespace: "shop", pod: "web-0" }, "app"));
    expect(screen.getByText(/Its image has no shell/).textContent).toMatch(/PERISCOPE_DEBUG_IMAGES/);
  });

  it("says which right is missing", async () => {
    images = ["busybox:1"];
    debugRight = { allowed: false, decided: true, reason: "" };
    open("triage");
    const button = () => screen.getByRole("button", { name: "Debug container for app" });
    await waitFor(() => expect(button().getAttribute("aria-disabled")).toBe("true"));
    fireEvent.click(button());
    expect(notice.get()?.text).toBe(
      `You may not debug in shop: your tier (triage) lacks the right "patch pods/ephemeralcontainers". ${ASK}`,
    );
    expect(onDebug).not.toHaveBeenCalled();
  });
});
