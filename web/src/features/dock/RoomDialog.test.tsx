import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ActiveSession } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { useStore } from "../../ui/useStore.ts";
import { EndedBar } from "./EndedBar.tsx";
import { endingOf, inTheWay } from "./ending.ts";
import { Queries } from "./fakes.ts";
import { RoomDialog } from "./RoomDialog.tsx";
import { endAllShells } from "./restore.ts";
import type { Shell } from "./shell.ts";
import { activeShell, dock, makeRoom, openShell } from "./store.ts";

const session = (id: string, cluster = "demo"): ActiveSession => ({
  sessionId: id,
  cluster,
  namespace: "shop",
  pod: `web-${id}`,
  container: "app",
  startedAt: new Date(Date.now() - 600_000).toISOString(),
  lastActivityAt: new Date(Date.now() - 30_000).toISOString(),
  state: "detached",
});

const capped = (code: string, activeSessions: ActiveSession[]) =>
  endingOf({
    kind: "refused",
    error: { type: "error", code, message: "Too many.", retryable: true, requestId: "r-1", activeSessions },
  });

let deletes: string[];
let answer: () => Response;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] }); // ages stand still
  deletes = [];
  answer = () => new Response(null, { status: 204 });
  vi.stubGlobal("fetch", (path: string, { method }: RequestInit) => {
    deletes.push(`${method} ${path}`);
    return Promise.resolve(answer());
  });
});
afterEach(() => {
  endAllShells();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A shell in the dock that a limit kept from opening. */
function refused(code: string, sessions: ActiveSession[]): Shell {
  openShell({ cluster: "demo", namespace: "shop", pod: "wanted", container: "app", reason: "INC-7" });
  const shell = activeShell(dock.get());
  if (!shell) throw new Error("no shell");
  shell.state.set({ ...shell.state.get(), phase: "ended", ending: capped(code, sessions) });
  return shell;
}

const Open = () => <RoomDialog shell={useStore(dock).capped} />;

function show(shell: Shell): void {
  makeRoom(shell);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <TipProvider>
        <Open />
        <EndedBar shell={shell} signIn={() => {}} />
      </TipProvider>
    </QueryClientProvider>,
  );
}

describe("making room for a shell", () => {
  it("lists what is in the way with age and state, ends the chosen one and opens the wanted one", async () => {
    const before = refused("E_CAP_USER", [session("1"), session("2", "other")]);
    show(before);
    const dialog = screen.getByRole("dialog", { name: "You are already in 2 shells" });
    expect(document.activeElement?.textContent).toBe("Keep them all");
    const [first] = within(dialog).getAllByRole("listitem");
    expect(first?.textContent).toMatch(/web-1demo · shop · appdetached, open 10m, idle 3\ds/);
    fireEvent.click(screen.getByRole("button", { name: "End the shell in web-2" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(deletes).toEqual(["DELETE /api/exec/sessions/2"]);
    const after = activeShell(dock.get());
    expect(after).not.toBe(before);
    expect(after?.target).toEqual(before.target);
    expect(after?.live).toBe(true);
  });

  it("goes on where the other one had ended meanwhile", async () => {
    const before = refused("E_CAP_USER", [session("1")]);
    answer = () => Response.json({ error: "E_NOT_FOUND", message: "Gone." }, { status: 404 });
    show(before);
    fireEvent.click(screen.getByRole("button", { name: "End the shell in web-1" }));
    await waitFor(() => expect(activeShell(dock.get())).not.toBe(before));
  });

  it("says why one could not be ended, and opens nothing", async () => {
    const before = refused("E_CAP_USER", [session("1")]);
    answer = () => Response.json({ error: "E_AUDIT_UNAVAILABLE", message: "No record." }, { status: 503 });
    show(before);
    fireEvent.click(screen.getByRole("button", { name: "End the shell in web-1" }));
    await waitFor(() => expect(screen.getByText(/not ended. No record/)).toBeTruthy());
    expect(activeShell(dock.get())).toBe(before);
  });

  it("can be put off, and taken up again", () => {
    show(refused("E_CAP_USER", [session("1")]));
    fireEvent.click(screen.getByRole("button", { name: "Keep them all" }));
    expect(screen.queryByRole("dialog")).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "End another one" }));
    expect(screen.getByRole("dialog", { name: "You are already in another shell" })).toBeTruthy();
  });

  it("offers for a cluster's limit only what lowers it", () => {
    expect(inTheWay(capped("E_CAP_CLUSTER", [session("1"), session("2", "other")]), "demo")).toEqual([
      expect.objectContaining({ sessionId: "1" }),
    ]);
    expect(inTheWay(capped("E_FORBIDDEN", [session("1")]), "demo")).toEqual([]);
    const alone = refused("E_CAP_CLUSTER", [session("2", "other")]);
    render(<EndedBar shell={alone} signIn={() => {}} />, { wrapper: Queries });
    expect(screen.queryByRole("button", { name: "End another one" })).toBeNull();
    expect(screen.getByRole("button", { name: "Try again" })).toBeTruthy();
  });
});
