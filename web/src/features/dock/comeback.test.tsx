import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reachable } from "../../api/client.ts";
import { stopAsking } from "../../api/login.ts";
import { clustersQuery } from "../../api/queries.ts";
import { notice } from "../../lib/notice.ts";
import type { TerminalEvents } from "../../term/terminal.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { Chooser } from "./Chooser.tsx";
import { CloseDialog } from "./CloseDialog.tsx";
import { ComebackBanner } from "./ComebackBanner.tsx";
import { EndedBar } from "./EndedBar.tsx";
import {
  type FakeLocks,
  fakeBrowser,
  fakeTerminal,
  loading,
  newestSocket,
  Queries,
  sockets,
  terminals,
} from "./fakes.ts";
import { LATE_MS } from "./hold.ts";
import { SCREEN_LIMIT, SCREENS_LIMIT } from "./keep.ts";
import { pillWords } from "./pill.ts";
import { asked, askRenewal } from "./request.ts";
import { endAllShells, keepShells, openHere } from "./restore.ts";
import type { Shell } from "./shell.ts";
import { closeShell, dock, openShell, renewShell, splitNew } from "./store.ts";
import { watchPage } from "./watch.ts";

vi.mock("../../term/terminal.ts", () => ({ createTerminal: (events: TerminalEvents) => fakeTerminal(events) }));

const TARGET = { cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "" };

function hello(change: Record<string, unknown> = {}) {
  const ids = { sessionId: "s1", container: "app", shell: "bash", resumeToken: "key-1", resumeSeconds: 600 };
  return { type: "hello", ...ids, resumed: false, offset: 0, stdinOffset: 0, ...change };
}
const again = (change: Record<string, unknown> = {}) => hello({ resumed: true, resumeToken: null, ...change });

let locks: FakeLocks;
let stop: () => void;

beforeEach(() => {
  locks = fakeBrowser();
  sessionStorage.clear();
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ subject: "ada" })));
  stop = keepShells("ada");
});
afterEach(() => {
  endAllShells();
  stop();
  stopAsking();
  hide(false);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function hide(hidden: boolean): void {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}

const shells = () => dock.get().shells;
const words = (shell: Shell | undefined) => (shell ? pillWords(shell.state.get()) : "no shell");

function only(): Shell {
  const shell = shells().at(-1);
  if (!shell) throw new Error("no shell");
  return shell;
}

/** Until the page has made its n-th connection. */
const connections = (n: number) => vi.waitFor(() => expect(sockets).toHaveLength(n));

function answer(frame: Record<string, unknown>): void {
  newestSocket().onopen?.();
  newestSocket().say(frame);
}

function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  const data = new ArrayBuffer(bytes.length);
  new Uint8Array(data).set(bytes);
  newestSocket().onmessage?.({ data });
}

/** A connected shell that has printed something. */
async function connected(sessionId = "s1", printed = "hello $ "): Promise<Shell> {
  const before = sockets.length;
  openShell(TARGET);
  only().mount(document.createElement("div"));
  await connections(before + 1);
  answer(hello({ sessionId, resumeToken: `key of ${sessionId}` }));
  print(printed);
  return only();
}

/** As a reload: what is in the page's memory is gone, its connections break, the tab's storage stays. */
function reload(who = "ada"): void {
  window.dispatchEvent(new Event("pagehide"));
  const kept = Object.entries(sessionStorage);
  stop();
  endAllShells();
  for (const [key, value] of kept) sessionStorage.setItem(key, value);
  sockets.length = 0;
  terminals.length = 0;
  stop = keepShells(who);
}

describe("a page that is loaded anew", () => {
  it("brings all shells back, each with its screen, at the offset that it shows", async () => {
    await connected("s1", "first $ ");
    await connected("s2", "second $ ");
    dock.update((state) => ({ ...state, layout: "full", activeId: shells()[0]?.id ?? "" }));
    reload();
    expect(shells().map((shell) => [shell.sessionId, words(shell)])).toEqual([
      ["s1", "reconnecting"],
      ["s2", "reconnecting"],
    ]);
    expect(dock.get()).toMatchObject({ layout: "full", activeId: shells()[0]?.id });
    await connections(2);
    expect(terminals.map((terminal) => terminal.screen)).toEqual(["first $ ", "second $ "]);
    sockets[0]?.onopen?.();
    expect(sockets[0]?.frames[0]).toMatchObject({
      type: "attach",
      sessionId: "s1",
      resumeToken: "key of s1",
      takeOver: false,
      offset: 8,
    });
    expect(sockets[0]?.url).toContain("/api/clusters/demo/pods/shop/web-0/exec");
    sockets[0]?.say(again({ offset: 8 }));
    expect(words(shells()[0])).toBe("same shell resumed");
    expect(terminals[0]?.replayed).toBe(0);
    // The next time it has the same key, though it was not told it again.
    reload();
    await connections(2);
    sockets[0]?.onopen?.();
    expect(sockets[0]?.frames[0]).toMatchObject({ resumeToken: "key of s1" });
  });

  it("keeps what its owner said about the clipboard, and asks again where that is taken back", async () => {
    const consent = () => only().clipboard.state.get().consent;
    (await connected()).clipboard.always();
    reload();
    await connections(1);
    expect(consent()).toBe("always");
    answer(again());
    only().clipboard.never();
    reload();
    await connections(1);
    expect(consent()).toBe("never");
    // Also where it was not come back to yet.
    only().clipboard.askAgain();
    reload();
    expect(consent()).toBe("ask");
  });

  it("is back before the terminal's code is there, and shows what comes behind what it showed", async () => {
    await connected("s1", "first $ ");
    let loaded = () => {};
    loading.until = new Promise((resolve) => {
      loaded = resolve;
    });
    reload();
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", offset: 8, cols: 80, rows: 24 });
    newestSocket().say(again({ offset: 8 }));
    print("second");
    newestSocket().say({ type: "gap", from: 14, to: 20, why: "buffer" });
    print(" third");
    expect(words(only())).toBe("same shell resumed");
    expect(terminals).toHaveLength(0);
    // Left once more before anything was drawn: what was kept is kept.
    window.dispatchEvent(new Event("pagehide"));
    expect(JSON.parse(sessionStorage.getItem("periscope.screen.s1") ?? "")).toMatchObject({
      offset: 8,
      screen: "first $ ",
    });
    loaded();
    await vi.waitFor(() => expect(terminals[0]?.screen).toBe("first $ second third"));
    expect(terminals[0]?.notes).toHaveLength(1);
  });

  it("has lost nothing where the terminal could not be loaded: the next one comes back", async () => {
    await connected("s1", "first $ ");
    loading.until = Promise.reject(new Error("not found"));
    loading.until.catch(() => {});
    reload();
    await vi.waitFor(() => expect(words(only())).toBe("ended: the terminal could not be loaded"));
    expect(sessionStorage.getItem("periscope.shells")).toContain("key of s1");
    loading.until = Promise.resolve();
    reload();
    await connections(1);
    expect(terminals[0]?.screen).toBe("first $ ");
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", resumeToken: "key of s1", offset: 8 });
  });

  it("offers a reload where the terminal could not be loaded, and asks before it gives the shell up", async () => {
    await connected("s1", "first $ ");
    loading.until = Promise.reject(new Error("not found"));
    loading.until.catch(() => {});
    reload();
    await vi.waitFor(() => expect(words(only())).toBe("ended: the terminal could not be loaded"));
    const shell = only();
    render(<EndedBar shell={shell} signIn={() => {}} />, { wrapper: Queries });
    expect(screen.queryByRole("button", { name: "New shell" })).toBeNull();
    expect(screen.getByRole("button", { name: "Reload the page" })).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(dock.get().closing).toBe(shell);
    expect(sessionStorage.getItem("periscope.shells")).toContain("key of s1");
    render(
      <TipProvider>
        <CloseDialog shell={shell} />
      </TipProvider>,
    );
    expect(screen.getByRole("dialog").textContent).toMatch(/still running, and a reload comes back to it/);
    const before = sockets.length;
    fireEvent.click(screen.getByRole("button", { name: "Close tab" }));
    expect(shells()).toEqual([]);
    expect(sessionStorage).toHaveLength(0);
    // The server keeps it, for the page Sessions: nobody has seen here what runs in it.
    expect(sockets).toHaveLength(before);
    expect(sockets.flatMap((socket) => socket.of("close"))).toEqual([]);
  });

  it("does not come back to a shell whose tab was closed meanwhile", async () => {
    await connected("s1");
    let loaded = () => {};
    loading.until = new Promise((resolve) => {
      loaded = resolve;
    });
    reload();
    const shell = only();
    endAllShells();
    loaded();
    await vi.waitFor(() => expect(terminals[0]?.disposed).toBe(true));
    expect(sockets).toHaveLength(0);
    expect(locks.holds("s1")).toBe(false);
    expect(shell.terminal).toBeNull();
  });

  it.each([
    ["ended", (shell: Shell) => shell.disconnect()],
    ["closed", closeShell],
  ])("tells the server of a shell that is %s before the page came back to it", async (_, end) => {
    await connected("s1");
    loading.until = new Promise(() => {});
    reload();
    const shell = only();
    end(shell);
    await vi.waitFor(() => expect(words(shell)).toBe("ended: you disconnected"));
    answer(again({ offset: 8 }));
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", resumeToken: "key of s1" });
    expect(newestSocket().of("close")).toHaveLength(1);
    newestSocket().say({ type: "closed", reason: "client_close", exitCode: null, message: "" });
    expect(sockets).toHaveLength(1);
    expect(sessionStorage).toHaveLength(0);
  });

  it("goes on before whatever was not complete on its screen", async () => {
    await connected("s1", "text\x1b[3");
    const [terminal] = terminals;
    if (terminal) terminal.incomplete = 3;
    reload();
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ offset: 4 });
  });

  it("keeps the shells where there is no room for screens, and asks for what the server has", async () => {
    await connected();
    const real = Storage.prototype.setItem;
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(function (this: Storage, key, value) {
      if (key.includes("screen")) throw new DOMException("full", "QuotaExceededError");
      real.call(this, key, value);
    });
    reload();
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", offset: null });
    newestSocket().say(again({ offset: 5_000 }));
    expect(terminals[0]?.replayed).toBe(1);
  });

  it("keeps screens within its bounds, and the newest ones where not all fit", async () => {
    const big = "x".repeat(SCREEN_LIMIT - 100);
    for (let i = 0; i < 8; i++) await connected(`s${i}`, big);
    dock.update((state) => ({ ...state, activeId: shells()[0]?.id ?? "" }));
    window.dispatchEvent(new Event("pagehide"));
    const kept = Object.keys(sessionStorage).filter((key) => key.includes("screen"));
    const size = kept.reduce((sum, key) => sum + (sessionStorage.getItem(key)?.length ?? 0), 0);
    expect(size).toBeLessThan(SCREENS_LIMIT * 1.01);
    expect(kept).toHaveLength(6);
    expect(kept).toContain("periscope.screen.s0");
  });

  it("warns before it, where shells would be lost", async () => {
    const left = () => {
      const event = new Event("beforeunload", { cancelable: true });
      window.dispatchEvent(event);
      return event.defaultPrevented;
    };
    const unwatch = watchPage();
    expect(left()).toBe(false);
    const shell = await connected();
    expect(left()).toBe(false);
    // A paste that is still on its way goes with the page.
    terminals[0]?.events.input(new Uint8Array(100_000));
    expect(shell.unsent).toBeGreaterThan(0);
    expect(left()).toBe(true);
    newestSocket().say({ type: "stdin_ack", offset: 65_536 });
    newestSocket().say({ type: "stdin_ack", offset: 100_000 });
    expect(left()).toBe(false);
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new DOMException("no", "SecurityError");
    });
    dock.update((state) => ({ ...state, layout: "full" }));
    expect(left()).toBe(true);
    unwatch();
  });

  it("warns where the server keeps nothing", async () => {
    const unwatch = watchPage();
    openShell(TARGET);
    only().mount(document.createElement("div"));
    await connections(1);
    answer(hello({ resumeSeconds: 0 }));
    const event = new Event("beforeunload", { cancelable: true });
    window.dispatchEvent(event);
    expect(event.defaultPrevented).toBe(true);
    expect(sessionStorage).toHaveLength(0);
    unwatch();
  });

  it("forgets what ended, and everything on signing out", async () => {
    await connected("s1");
    await connected("s2");
    window.dispatchEvent(new Event("pagehide"));
    expect(sessionStorage).toHaveLength(3);
    newestSocket().say({ type: "closed", reason: "completed", exitCode: 0, message: "" });
    expect(JSON.stringify(sessionStorage)).not.toContain("s2");
    expect(sessionStorage).toHaveLength(2);
    endAllShells();
    expect(sessionStorage).toHaveLength(0);
  });

  it("asks nobody else why, when the one who wanted the shell has signed out", async () => {
    askRenewal(await connected());
    expect(asked.get()).not.toBeNull();
    keepShells("eve");
    expect(asked.get()).toBeNull();
  });

  it("gives nobody else's shells to whoever signs in next", async () => {
    await connected();
    reload("eve");
    expect(shells()).toEqual([]);
    expect(sessionStorage).toHaveLength(0);
    stop();
    await connected();
    stop = keepShells("ada");
    expect(shells()).toEqual([]);
  });

  it.each([
    "{",
    "null",
    "[]",
    '{"version":2,"owner":"ada","shells":[]}',
    '{"version":1,"owner":"ada","shells":7}',
    '{"version":1,"owner":"ada","shells":[null,7,{"sessionId":"a","token":"b"},{"sessionId":"a","token":"b","resumeSeconds":1,"connectedAt":1,"target":{}}]}',
  ])("takes nonsense in its storage for nothing: %s", (text) => {
    stop();
    sessionStorage.setItem("periscope.shells", text);
    stop = keepShells("ada");
    expect(shells()).toEqual([]);
  });

  it("says so where the shell is gone, and since when nobody was connected to it", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    await connected();
    reload();
    vi.setSystemTime(Date.now() + 11 * 60_000);
    await connections(1);
    answer({ type: "error", code: "E_NOT_FOUND", message: "There is no such shell." });
    newestSocket().say({ type: "closed", reason: "refused", exitCode: null, message: "There is no such shell." });
    await vi.waitFor(() => expect(words(only())).toBe("ended: the shell is gone"));
    expect(only().state.get().ending?.detail).toBe(
      "No page was connected to it for 11 minutes; the server keeps a shell for 10 minutes.",
    );
    expect(terminals[0]?.ended).toBe("the shell is gone");
    expect(sessionStorage).toHaveLength(0);
    render(<EndedBar shell={only()} signIn={() => {}} />, { wrapper: Queries });
    fireEvent.click(screen.getByRole("button", { name: "New shell" }));
    only().mount(document.createElement("div"));
    await connections(2);
    expect(newestSocket().frames[0]?.type ?? "not yet").not.toBe("attach");
    answer(hello({ sessionId: "s2" }));
    expect(newestSocket().frames[0]).toMatchObject({ type: "open" });
    expect(words(only())).toBe("new shell");
    expect(terminals[1]?.notes).toEqual(["new shell; the one before ended: the shell is gone"]);
  });
});

describe("a tab that was duplicated", () => {
  it("does not take the first one's shells, but offers to", async () => {
    await connected();
    reload();
    await connections(1);
    answer(again({ offset: 8 }));
    expect(locks.holds("s1")).toBe(true);

    reload();
    const release = locks.hold("s1");
    await vi.waitFor(() => expect(words(only())).toBe("open in another window"));
    expect(sockets).toHaveLength(0);
    expect(only().live).toBe(false);
    expect(terminals[0]?.screen).toBe("hello $ ");
    render(<ComebackBanner shell={only()} />);
    fireEvent.click(screen.getByRole("button", { name: "Open here" }));
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ resumeToken: null, takeOver: true, offset: 8 });
    act(() => newestSocket().say(again({ offset: 8, resumeToken: "key-9" })));
    expect(words(only())).toBe("same shell resumed");
    // The first tab is told, and lets go of it.
    release();
    await vi.waitFor(() => expect(locks.holds("s1")).toBe(true));
  });

  it("goes on where the other one was only slow to go", async () => {
    await connected();
    reload();
    const release = locks.hold("s1");
    await vi.waitFor(() => expect(words(only())).toBe("open in another window"));
    release();
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ resumeToken: "key of s1", takeOver: false, offset: 8 });
  });

  it("keeps the key all the same: where the first tab is closed it comes back on the next reload", async () => {
    await connected();
    reload();
    const release = locks.hold("s1");
    await vi.waitFor(() => expect(words(only())).toBe("open in another window"));
    reload();
    release();
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ resumeToken: "key of s1" });
  });

  it("keeps the screen as well, when it is hidden", async () => {
    await connected();
    reload();
    locks.hold("s1");
    await vi.waitFor(() => expect(words(only())).toBe("open in another window"));
    await vi.waitFor(() => expect(terminals[0]?.screen).toBe("hello $ "));
    hide(true);
    expect(sessionStorage.getItem("periscope.screen.s1")).toContain("hello $ ");
  });

  it("tells the server of no end after signing out", async () => {
    await connected("s1");
    vi.useFakeTimers();
    newestSocket().drop();
    closeShell(only());
    act(endAllShells);
    const before = sockets.length;
    vi.advanceTimersByTime(60_000);
    vi.useRealTimers();
    expect(sockets).toHaveLength(before);
  });

  it("ends no shell of the first one's with its own tab", async () => {
    await connected();
    reload();
    locks.hold("s1");
    await vi.waitFor(() => expect(words(only())).toBe("open in another window"));
    closeShell(only());
    expect(sockets).toHaveLength(0);
  });

  it.each([
    ["ended", (shell: Shell) => shell.disconnect(), "open in another window"],
    ["closed", closeShell, "reconnecting"],
  ])("ends no shell of the first one's where it is %s before it is known whose it is", async (_, end, then) => {
    await connected();
    vi.useFakeTimers();
    reload();
    locks.hold("s1");
    const shell = only();
    end(shell);
    await vi.advanceTimersByTimeAsync(LATE_MS);
    expect(words(shell)).toContain(then);
    expect(sockets).toHaveLength(0);
  });

  it("lets a shell go with its tab", async () => {
    const shell = await connected();
    await vi.waitFor(() => expect(locks.holds("s1")).toBe(true));
    closeShell(shell);
    await vi.waitFor(() => expect(locks.holds("s1")).toBe(false));
  });
});

describe("a shell that another window took", () => {
  it("stays as it is, does not fight, and can be taken back", async () => {
    const shell = await connected();
    newestSocket().say({ type: "closed", reason: "taken_over", exitCode: null, message: "" });
    newestSocket().drop(4001);
    expect(words(shell)).toBe("taken over elsewhere");
    expect(shell.live).toBe(false);
    expect(terminals[0]?.ended).toBe("");
    expect(sessionStorage).toHaveLength(0);
    await vi.waitFor(() => expect(locks.holds("s1")).toBe(false));
    render(<ComebackBanner shell={shell} />);
    fireEvent.click(screen.getByRole("button", { name: "Take it back" }));
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", resumeToken: null, takeOver: true, offset: 8 });
    act(() => newestSocket().say(again({ offset: 8, resumeToken: "key-2", stdinOffset: 40 })));
    expect(words(shell)).toBe("same shell resumed");
    print("more");
    expect(terminals[0]?.screen).toBe("hello $ more");
  });
});

describe("a shell that was taken while this page had let go of it", () => {
  async function refused(sessions: unknown[]): Promise<Shell> {
    const shell = await connected();
    vi.stubGlobal("fetch", (path: string) =>
      Promise.resolve(Response.json(path === "/api/exec/sessions" ? { sessions } : { subject: "ada" })),
    );
    shell.letGo(300);
    shell.seen();
    await connections(2);
    answer({ type: "error", code: "E_NOT_FOUND", message: "There is no such shell." });
    newestSocket().say({ type: "closed", reason: "refused", exitCode: null, message: "There is no such shell." });
    return shell;
  }

  it("is taken, not gone, and can be taken back", async () => {
    const shell = await refused([{ sessionId: "s1", own: true }]);
    await vi.waitFor(() => expect(words(shell)).toBe("taken over elsewhere"));
    expect(terminals[0]?.ended).toBe("");
    render(<ComebackBanner shell={shell} />);
    fireEvent.click(screen.getByRole("button", { name: "Take it back" }));
    await connections(3);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", resumeToken: null, takeOver: true, offset: 8 });
    act(() => newestSocket().say(again({ offset: 8, resumeToken: "key-2" })));
    expect(words(shell)).toBe("same shell resumed");
  });

  it.each([
    ["another shell", [{ sessionId: "s2", own: true }]],
    ["somebody else's", [{ sessionId: "s1", own: false }]],
  ])("is gone where the list has only %s", async (_, sessions) => {
    const shell = await refused(sessions);
    await vi.waitFor(() => expect(words(shell)).toBe("ended: the shell is gone"));
  });
});

describe("one's own shell from elsewhere", () => {
  it("opens in a tab of its own, with what the server has of it", async () => {
    openHere({ ...TARGET, reason: "INC-7", sessionId: "far" });
    only().mount(document.createElement("div"));
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({
      type: "attach",
      sessionId: "far",
      resumeToken: null,
      takeOver: true,
      offset: null,
    });
    newestSocket().say(again({ sessionId: "far", resumeToken: "key-5", offset: 900 }));
    print("old output");
    expect(terminals[0]?.replayed).toBe(1);
    expect(JSON.stringify(sessionStorage)).toContain("key-5");
    // A new one beside it, or after it, is opened for the same reason.
    splitNew();
    only().mount(document.createElement("div"));
    await connections(2);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "open", reason: "INC-7" });
  });

  it("asks why before a new one opens in its place, where it does not say and the cluster wants to know", async () => {
    const client = new QueryClient();
    client.setQueryDefaults(clustersQuery().queryKey, { staleTime: Number.POSITIVE_INFINITY });
    client.setQueryData(clustersQuery().queryKey, [{ name: "demo", execEnabled: true, requireReason: true }]);
    openHere({ ...TARGET, sessionId: "far" });
    const first = only();
    first.mount(document.createElement("div"));
    await connections(1);
    answer(again({ sessionId: "far" }));
    newestSocket().say({ type: "closed", reason: "completed", exitCode: 0, message: "" });
    await vi.waitFor(() => expect(words(first)).toBe("ended: the shell exited"));
    render(
      <QueryClientProvider client={client}>
        <TipProvider>
          <EndedBar shell={first} signIn={() => {}} />
          <Chooser />
        </TipProvider>
      </QueryClientProvider>,
    );
    fireEvent.click(screen.getByRole("button", { name: "New shell" }));
    expect(shells()).toEqual([first]);
    fireEvent.change(screen.getByLabelText("Why are you here?"), { target: { value: "INC-8" } });
    fireEvent.click(screen.getByRole("button", { name: "Open shell" }));
    expect(shells().map(({ target }) => target)).toMatchObject([{ container: "app", reason: "INC-8" }]);
    expect(shells()).not.toContain(first);
  });

  it("says so where the server does not hand it over, and misses nothing in a new one", async () => {
    openHere({ ...TARGET, sessionId: "far" });
    only().mount(document.createElement("div"));
    await connections(1);
    const sessions = [{ sessionId: "far", own: true }];
    vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ sessions })));
    answer({ type: "error", code: "E_NOT_FOUND", message: "There is no such shell." });
    newestSocket().say({ type: "closed", reason: "refused", exitCode: null, message: "There is no such shell." });
    await vi.waitFor(() => expect(words(only())).toBe("not opened: cannot be taken over"));
    render(<EndedBar shell={only()} signIn={() => {}} />, { wrapper: Queries });
    expect(screen.getByRole("alert").textContent).toMatch(
      /still open, but only where it was opened.*open a new shell here/,
    );
    fireEvent.click(screen.getByRole("button", { name: "New shell" }));
    only().mount(document.createElement("div"));
    await connections(2);
    answer(hello({ sessionId: "s2" }));
    expect(words(only())).toBe("");
    expect(terminals.at(-1)?.notes).toEqual([]);
  });

  it("is told nothing of how long the server keeps it where it was not reached, and is not missed in a new one", async () => {
    openHere({ ...TARGET, sessionId: "far" });
    only().mount(document.createElement("div"));
    await connections(1);
    newestSocket().drop();
    only().disconnect();
    expect(words(only())).toBe("not opened: you disconnected");
    expect(only().state.get().ending?.detail).toBe(
      "The server could not be told yet. It is told as soon as it can be reached; else the shell goes on where it is.",
    );
    renewShell(only());
    only().mount(document.createElement("div"));
    await vi.waitFor(() => expect(only().terminal).not.toBeNull());
    answer(hello({ sessionId: "s2" }));
    expect(words(only())).toBe("");
    expect(terminals.at(-1)?.notes).toEqual([]);
  });

  it("is shown where it is here already", async () => {
    const first = await connected("s1");
    await connected("s2");
    openHere({ ...TARGET, sessionId: "s1" });
    expect(shells()).toHaveLength(2);
    expect(dock.get().activeId).toBe(first.id);
    expect(sockets).toHaveLength(2);
  });
});

describe("a lost connection", () => {
  it("is told in the pill, with a button from the second try on", async () => {
    const shell = await connected();
    render(<ComebackBanner shell={shell} />);
    act(() => newestSocket().drop());
    expect(words(shell)).toBe("reconnecting (1)");
    expect(screen.queryByRole("button")).toBeNull();
    act(() => newestSocket().drop());
    await connections(3);
    await screen.findByRole("button", { name: "Reconnect now" });
    expect(words(shell)).toBe("reconnecting (2)");
    fireEvent.click(screen.getByRole("button", { name: "Reconnect now" }));
    expect(words(shell)).toBe("reconnecting (3)");
    reachable.set(false);
    act(() => answer(again({ offset: 8 })));
    expect(words(shell)).toBe("same shell resumed");
    expect(reachable.get()).toBe(true);
    expect(screen.queryByRole("button")).toBeNull();
  });

  it("asks whether the login still stands, which a refused WebSocket does not tell", async () => {
    const asked: string[] = [];
    vi.stubGlobal("fetch", (path: string) => {
      asked.push(path);
      return Promise.resolve(Response.json({ error: "E_UNAUTHENTICATED" }, { status: 401 }));
    });
    vi.spyOn(performance, "now").mockReturnValue(1_000_000_000);
    await connected();
    newestSocket().drop();
    newestSocket().drop();
    expect(asked).toEqual(["/api/whoami"]);
  });

  it("writes a line into the terminal where output is missing, and only there", async () => {
    await connected();
    newestSocket().drop();
    answer(again({ offset: 8 }));
    expect(terminals[0]?.notes).toEqual([]);
    newestSocket().say({ type: "gap", from: 8, to: 2_056, why: "buffer" });
    expect(terminals[0]?.notes).toEqual(["2.0 KiB of older output are no longer kept"]);
  });

  it("says what it does not keep of the typing meanwhile", async () => {
    await connected();
    newestSocket().drop();
    terminals[0]?.events.input(new Uint8Array(65_536));
    expect(notice.get()?.text ?? "").not.toContain("Not typed");
    terminals[0]?.events.input(new Uint8Array(1));
    expect(notice.get()?.text).toContain("Not typed: only 64 KiB are kept");
  });
});

describe("a page that is hidden for long", () => {
  it("lets go of the shell, which the server keeps, and comes back when it is looked at", async () => {
    const shell = await connected();
    const unwatch = watchPage();
    shell.letGo(300);
    expect(newestSocket().of("detach")).toHaveLength(1);
    expect(words(shell)).toBe("paused: the page was hidden");
    expect(shell.live).toBe(true);
    shell.letGo(300);
    expect(shell.state.get().phase).toBe("away");
    hide(true);
    expect(sockets).toHaveLength(1);
    hide(false);
    await connections(2);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", offset: 8, resumeToken: "key of s1" });
    newestSocket().say(again({ offset: 8 }));
    expect(words(shell)).toBe("same shell resumed");
    unwatch();
  });

  it("comes back to it on a reload as well", async () => {
    const shell = await connected();
    shell.letGo(300);
    reload();
    await connections(1);
    newestSocket().onopen?.();
    expect(newestSocket().frames[0]).toMatchObject({ type: "attach", offset: 8 });
  });
});

it("connects a shell that went out of view before the terminal's code was there", async () => {
  let loaded = () => {};
  loading.until = new Promise((resolve) => {
    loaded = resolve;
  });
  openShell(TARGET);
  const covered = only();
  covered.mount(document.createElement("div"))();
  openShell({ ...TARGET, pod: "web-1" });
  only().mount(document.createElement("div"));
  loaded();
  await connections(2);
  sockets[0]?.onopen?.();
  sockets[0]?.say(hello());
  expect(covered.connected).toBe(true);
});

it("does not open a shell whose tab was closed before the terminal's code was there", async () => {
  let loaded = () => {};
  loading.until = new Promise((resolve) => {
    loaded = resolve;
  });
  openShell(TARGET);
  const hide = only().mount(document.createElement("div"));
  closeShell(only());
  hide();
  loaded();
  await vi.waitFor(() => expect(terminals[0]?.disposed).toBe(true));
  expect(sockets).toHaveLength(0);
});

it("renews a shell that never opened without a word about the one before", async () => {
  openShell(TARGET);
  only().mount(document.createElement("div"));
  await connections(1);
  newestSocket().drop();
  renewShell(only());
  only().mount(document.createElement("div"));
  await connections(2);
  answer(hello());
  expect(words(only())).toBe("");
  expect(terminals.at(-1)?.notes).toEqual([]);
});

describe("news of a shell that is out of sight", () => {
  it("is what it prints, not that it draws itself anew for another size", async () => {
    const shell = await connected();
    const now = vi.spyOn(Date, "now").mockReturnValue(1_000_000);
    hide(true);
    terminals[0]?.events.resize(100, 30);
    print("hello $ ");
    expect(shell.state.get().unread).toBe(false);
    now.mockReturnValue(1_001_000);
    print("news");
    expect(shell.state.get().unread).toBe(true);
  });
});
