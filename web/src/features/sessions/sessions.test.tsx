import { focusManager, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  Outlet,
  RouterProvider,
} from "@tanstack/react-router";
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ExecSession, SessionList } from "../../api/types.ts";
import { notice } from "../../lib/notice.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { filterSessions, formatSort, parseSort, sortSessions } from "./columns.ts";
import { SessionsPage, type SessionsSearch } from "./SessionsPage.tsx";

const NOW = Date.parse("2026-01-10T12:00:00Z");
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

function session(id: string, change: Partial<ExecSession> = {}): ExecSession {
  return {
    sessionId: id,
    subject: "ada",
    email: "ada@example.com",
    own: true,
    cluster: "demo",
    namespace: "shop",
    pod: `web-${id}`,
    container: "app",
    tty: true,
    transport: "ws",
    reason: "",
    file: "",
    startedAt: ago(600),
    lastActivityAt: ago(30),
    bytesIn: 10,
    bytesOut: 2048,
    state: "attached",
    ...change,
  };
}

const bobs = session("2", {
  own: false,
  subject: "bob",
  email: "",
  pod: "db-0",
  cluster: "prod",
  reason: "INC-7: disk full",
  startedAt: ago(60),
  lastActivityAt: ago(50),
  bytesOut: 9,
});

let list: SessionList;
let deletes: string[];
let asked: number;
let refuse: { status: number; body: object } | null;
const onOpenHere = vi.fn();

beforeEach(() => {
  list = { sessions: [bobs, session("1")], scope: "all", total: 2 };
  deletes = [];
  asked = 0;
  refuse = null;
  onOpenHere.mockClear();
  Element.prototype.scrollIntoView = () => {};
  window.scrollTo = () => {};
  vi.stubGlobal("fetch", (path: string, { method }: RequestInit) => {
    if (method !== "DELETE") {
      asked++;
      return Promise.resolve(Response.json(list));
    }
    deletes.push(path);
    if (refuse) return Promise.resolve(Response.json(refuse.body, { status: refuse.status }));
    list = { ...list, sessions: list.sessions.filter(({ sessionId }) => !path.endsWith(`/${sessionId}`)) };
    list.total = list.sessions.length;
    return Promise.resolve(new Response(null, { status: 204 }));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  focusManager.setFocused(undefined);
});

function open(search: SessionsSearch = {}) {
  const onSearch = vi.fn();
  const root = createRootRoute({ component: Outlet });
  const page = createRoute({
    getParentRoute: () => root,
    path: "/",
    component: () => (
      <SessionsPage search={search} onSearch={onSearch} who="ada" isHere={(id) => id === "1"} onOpenHere={onOpenHere} />
    ),
  });
  const router = createRouter({ routeTree: root.addChildren([page]), history: createMemoryHistory() });
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TipProvider>
        <RouterProvider router={router as never} />
      </TipProvider>
    </QueryClientProvider>,
  );
  return onSearch;
}

const rows = () => screen.getAllByRole("row").slice(1);

describe("the list of sessions", () => {
  it("tells an administrator that these are everybody's, and whose each is", async () => {
    open();
    await screen.findByRole("table", { name: "Sessions" });
    expect(screen.getByText(/You are an administrator and see everybody/)).toBeTruthy();
    const [first, second] = rows();
    expect(first?.textContent).toMatch(/db-0prod · shop · appbobINC-7: disk full.*Attached.*WebSocket.*9 B/);
    expect(second?.textContent).toMatch(/web-1.*ada@example.com \(you\).*in this window.*2\.0 KiB/);
    expect(screen.getByRole("link", { name: "db-0" }).getAttribute("href")).toBe("/clusters/prod/pods/shop/db-0");
    expect(screen.getByText("2 open")).toBeTruthy();
  });

  it("says of a copy which file it is, and offers no terminal for it", async () => {
    list = { sessions: [session("3", { tty: false, file: "/srv/a\u001bfile" })], scope: "self", total: 1 };
    open();
    await screen.findByRole("table", { name: "Sessions" });
    expect(screen.getByText("copies /srv/a^[file")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /Open the shell/ })).toBeNull();
  });

  it("names nobody where one sees one's own alone", async () => {
    list = { sessions: [session("1")], scope: "self", total: 1 };
    open();
    await screen.findByRole("table", { name: "Sessions" });
    expect(screen.queryByText(/administrator/)).toBeNull();
    expect(screen.queryByRole("columnheader", { name: "Who" })).toBeNull();
    expect(screen.queryByRole("group", { name: "Whose" })).toBeNull();
  });

  it("shows one's own alone, and says when there is none", async () => {
    list = { sessions: [bobs], scope: "all", total: 1 };
    open({ mine: true });
    await screen.findByText("You have no shell open");
    expect(screen.getByText("0 of 1 open")).toBeTruthy();
  });

  it("filters, and says when nothing matches", async () => {
    const onSearch = open({ q: "nothing of the kind" });
    await screen.findByText("No shell matches");
    fireEvent.click(screen.getByText("Clear the filter"));
    expect(onSearch).toHaveBeenCalledWith({ q: undefined });
  });

  it("says where the server told only the newest", async () => {
    list.total = 1500;
    open();
    await screen.findByText("the newest 2 of 1,500 open");
  });

  it("says what is wrong where it cannot be had", async () => {
    vi.stubGlobal("fetch", () =>
      Promise.resolve(Response.json({ error: "E_INTERNAL", message: "No luck.", requestId: "r-9" }, { status: 500 })),
    );
    open();
    expect((await screen.findByRole("alert")).textContent).toMatch(/No luck.*r-9/);
    vi.stubGlobal("fetch", () => new Promise(() => {}));
    const again = screen.getByRole("button", { name: "Try again" });
    again.focus();
    fireEvent.click(again);
    // The page is told of it in a task of its own.
    await act(() => new Promise((resolve) => setTimeout(resolve)));
    expect(screen.getByRole("alert").textContent).toMatch(/No luck.*r-9/);
    expect(document.activeElement).toBe(again);
  });
});

describe("ending a session", () => {
  it("asks first, names whose it is, ends it and takes it off the list", async () => {
    open();
    fireEvent.click(await screen.findByRole("button", { name: "End the shell in db-0 of bob" }));
    const dialog = screen.getByRole("dialog", { name: "End this shell?" });
    expect(dialog.textContent).toMatch(/bob has it open in shop\/db-0 of prod.*They are told/);
    expect(deletes).toEqual([]);
    fireEvent.click(within(dialog).getByRole("button", { name: "End shell" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(deletes).toEqual(["/api/exec/sessions/2"]);
    expect(notice.get()?.text).toBe("The shell in db-0 was ended");
    await waitFor(() => expect(rows()).toHaveLength(1));
  });

  it("keeps it where one thinks better of it", async () => {
    open();
    fireEvent.click(await screen.findByRole("button", { name: "End the shell in web-1" }));
    fireEvent.click(screen.getByRole("button", { name: "Keep it" }));
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(deletes).toEqual([]);
  });

  it("takes one that had ended by itself for what was wanted", async () => {
    open();
    refuse = { status: 404, body: { error: "E_NOT_FOUND", message: "There is no such shell." } };
    fireEvent.click(await screen.findByRole("button", { name: "End the shell in web-1" }));
    fireEvent.click(screen.getByRole("button", { name: "End shell" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(notice.get()?.text).toMatch(/had ended already/);
  });

  it("says in the dialog why it could not be", async () => {
    open();
    refuse = { status: 503, body: { error: "E_AUDIT_UNAVAILABLE", message: "No record, no end.", requestId: "r-3" } };
    fireEvent.click(await screen.findByRole("button", { name: "End the shell in web-1" }));
    fireEvent.click(screen.getByRole("button", { name: "End shell" }));
    expect((await screen.findByRole("alert")).textContent).toMatch(/not ended. No record, no end.*r-3/);
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "End shell" }).disabled).toBe(false);
  });

  it("can be done by keys alone", async () => {
    open();
    await screen.findByRole("table", { name: "Sessions" });
    fireEvent.keyDown(window, { key: "x" });
    expect(screen.queryByRole("dialog")).toBeNull();
    for (const key of ["j", "j", "x"]) fireEvent.keyDown(window, { key });
    expect(screen.getByRole("dialog").textContent).toMatch(/web-1.*open in this window/);
  });
});

describe("opening one's own session here", () => {
  const mine = session("3", { pod: "api-3", state: "detached" });

  it("is at once where nobody is connected to it", async () => {
    list = { sessions: [mine], scope: "self", total: 1 };
    open();
    fireEvent.click(await screen.findByRole("button", { name: "Open the shell in api-3 here" }));
    expect(onOpenHere).toHaveBeenCalledWith(mine);
  });

  it("asks where another window is", async () => {
    const attached = { ...mine, state: "attached" as const };
    list = { sessions: [attached], scope: "self", total: 1 };
    open();
    const button = await screen.findByRole("button", { name: "Open the shell in api-3 here" });
    fireEvent.click(button);
    fireEvent.click(screen.getByRole("button", { name: "Leave it there" }));
    expect(onOpenHere).not.toHaveBeenCalled();
    for (const key of ["j", "o"]) fireEvent.keyDown(window, { key });
    const dialog = screen.getByRole("dialog", { name: "Open this shell here?" });
    expect(dialog.textContent).toMatch(/api-3.*that window is told/);
    fireEvent.click(within(dialog).getByRole("button", { name: "Open here" }));
    expect(onOpenHere).toHaveBeenCalledWith(attached);
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("is not offered for others' shells, for those in this window, and without a terminal", async () => {
    list = { sessions: [bobs, session("1"), session("4", { tty: false })], scope: "all", total: 3 };
    open();
    await screen.findByRole("table", { name: "Sessions" });
    expect(screen.queryAllByRole("button", { name: /here$/ })).toEqual([]);
    for (const key of ["j", "o"]) fireEvent.keyDown(window, { key });
    expect(onOpenHere).not.toHaveBeenCalled();
  });
});

it("asks every three seconds, and not while the page is hidden", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  open();
  await vi.waitFor(() => expect(asked).toBe(1));
  await act(() => vi.advanceTimersByTimeAsync(9_500));
  expect(asked).toBe(4);
  act(() => focusManager.setFocused(false));
  await act(() => vi.advanceTimersByTimeAsync(60_000));
  expect(asked).toBe(4);
  act(() => focusManager.setFocused(true));
  await vi.waitFor(() => expect(asked).toBe(5));
});

describe("order and filter", () => {
  const all = [session("a"), bobs, session("c", { startedAt: ago(6000), lastActivityAt: ago(1) })];
  const ids = (sorted: readonly ExecSession[]) => sorted.map(({ sessionId }) => sessionId).join("");

  it("sorts by any column, equal ones as they came", () => {
    expect(ids(sortSessions(all, parseSort("")))).toBe("2ac");
    expect(ids(sortSessions(all, parseSort("-started")))).toBe("ca2");
    expect(ids(sortSessions(all, parseSort("idle")))).toBe("ca2");
    expect(ids(sortSessions(all, parseSort("-out")))).toBe("ac2");
    expect(ids(sortSessions(all, parseSort("who")))).toBe("ac2");
    expect(parseSort("nonsense")).toEqual({ id: "started", desc: false });
    expect(formatSort({ id: "idle", desc: true })).toBe("-idle");
    expect(formatSort(parseSort(""))).toBeUndefined();
  });

  it("finds by person, place and reason", () => {
    expect(ids(filterSessions(all, "BOB"))).toBe("2");
    expect(ids(filterSessions(all, "inc-7 prod"))).toBe("2");
    expect(ids(filterSessions(all, "shop/web"))).toBe("ac");
    expect(ids(filterSessions(all, " "))).toBe("a2c");
  });
});
