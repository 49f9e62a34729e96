import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { notice } from "../../lib/notice.ts";
import type { FakeSocket } from "../../stream/fakes.ts";
import type { TerminalEvents } from "../../term/terminal.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { CopyDialogs } from "./CopyDialogs.tsx";
import { askDownload, askUpload, copyAsked, fileTrouble, pathTrouble, placeOfFiles } from "./copying.ts";
import { DropTarget } from "./DropTarget.tsx";
import { watchDrops } from "./drops.ts";
import { fakeBrowser, fakeTerminal, sockets } from "./fakes.ts";
import { MAX_ENTRIES } from "./folders.ts";
import { HELD_BYTES, nameHere, UNASKED_BYTES } from "./landing.ts";
import { endAllShells, keepShells } from "./restore.ts";
import { newShell } from "./store.ts";
import { TransferTray } from "./TransferTray.tsx";
import { copyFiles, transfers, underWay } from "./transfers.ts";
import { watchTransfers } from "./watch.ts";

vi.mock("../../term/terminal.ts", () => ({ createTerminal: (events: TerminalEvents) => fakeTerminal(events) }));

const TARGET = { cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "INC-7" };
const MIB = 1024 * 1024;
/** A busy machine takes its time. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000 });
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

let maxFileBytes: number;
let requireReason: boolean;
let saved: { name: string; blob: Blob }[];

beforeEach(() => {
  fakeBrowser();
  notice.set(null);
  maxFileBytes = 1024 * MIB;
  requireReason = false;
  saved = [];
  vi.stubGlobal("fetch", (path: string) => {
    if (path.endsWith("/features")) return Promise.resolve(Response.json({ exec: { maxFileBytes } }));
    return Promise.resolve(Response.json({ clusters: [{ name: "demo", execEnabled: true, requireReason }] }));
  });
  let blob = new Blob();
  vi.stubGlobal(
    "URL",
    Object.assign(URL, {
      createObjectURL: (made: Blob) => {
        blob = made;
        return "blob:made";
      },
      revokeObjectURL: () => {},
    }),
  );
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    saved.push({ name: this.download, blob });
  });
});
afterEach(() => {
  endAllShells();
  copyAsked.set(null);
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const file = (name: string, text: string) => new File([text], name);
/** A file that claims its size. */
function sized(name: string, size: number): File {
  return Object.defineProperty(file(name, ""), "size", { value: size });
}

const put = (...files: File[]) =>
  copyFiles(files.map((one) => ({ way: "up", place: TARGET, path: "/tmp/", file: one }) as const));
const get = (path: string) => copyFiles([{ way: "down", place: TARGET, path }]);

function socket(n: number): FakeSocket {
  const one = sockets[n];
  if (!one) throw new Error(`there is no connection ${n}`);
  return one;
}

function hello(n: number, found: { directory: boolean; size: number | null } = { directory: false, size: null }): void {
  socket(n).onopen?.();
  socket(n).say({
    ...{ type: "hello", sessionId: `s${n}`, container: "app", resumeToken: "key", resumeSeconds: 600 },
    ...{ offset: 0, stdinOffset: 0, window: MIB, stdinWindow: MIB, file: found },
  });
}

function close(n: number, change: Record<string, unknown> = {}): void {
  socket(n).say({ type: "closed", reason: "completed", exitCode: 0, message: "", ...change });
}

function copied(n: number, text: string): void {
  close(n, { file: { bytes: text.length, sha256: sha256(text), verified: true } });
}

const phases = () => transfers.get().map((one) => one.state.get().phase);
const state = (n: number) => transfers.get()[n]?.state.get();
const become = (...wanted: string[]) => until(() => expect(phases()).toEqual(wanted));
/** Until the upload has told its end on its n-th connection. */
const allSent = (n: number) => until(() => expect(socket(n).of("eof")).toHaveLength(1));

describe("transfers", () => {
  it("are two at a time; the next one starts when one is over", async () => {
    put(file("a", "aa"), file("b", "bb"), file("c", "cc"));
    expect(phases()).toEqual(["opening", "opening", "queued"]);
    expect(sockets.map(({ url }) => new URL(url).pathname)).toEqual([
      "/api/clusters/demo/pods/shop/web-0/exec",
      "/api/clusters/demo/pods/shop/web-0/exec",
    ]);
    hello(0);
    expect(socket(0).frames[0]).toMatchObject({
      container: "app",
      reason: "INC-7",
      file: { op: "put", path: "/tmp/", name: "a", size: 2 },
    });
    await allSent(0);
    copied(0, "aa");
    await become("done", "opening", "opening");
    expect(state(0)?.carried).toMatchObject({ sha256: sha256("aa"), verified: true });
    expect(sockets).toHaveLength(3);
  });

  it("wait in vain where they are cancelled; one under way is ended at the server before the next one starts", async () => {
    put(file("a", "aa"), file("b", "bb"), file("c", "cc"), file("d", "dd"));
    hello(0);
    transfers.get()[2]?.cancel();
    transfers.get()[0]?.cancel();
    expect(socket(0).of("close")).toHaveLength(1);
    expect(phases()).toEqual(["cancelled", "opening", "cancelled", "queued"]);
    close(0, { reason: "client_close" });
    expect(phases()).toEqual(["cancelled", "opening", "cancelled", "opening"]);
  });

  it("say in the server's words why they are refused, and are tried again from their beginning", async () => {
    put(file("a", "aa"));
    socket(0).onopen?.();
    const message = "Shells are switched off for demo. Ask whoever runs Periscope.";
    socket(0).say({ type: "error", code: "E_EXEC_DISABLED", message, requestId: "r1" });
    close(0, { reason: "refused", exitCode: null, message });
    await become("failed");
    expect(state(0)?.trouble).toEqual({ why: message, requestId: "r1" });
    transfers.get()[0]?.again();
    expect(phases()).toEqual(["opening"]);
    hello(1);
    await allSent(1);
    copied(1, "aa");
    await become("done");
    expect(state(0)?.trouble).toBeNull();
  });

  it("say what a session's end means for a file", async () => {
    put(file("a", "aa"));
    socket(0).drop();
    await become("failed");
    expect(state(0)?.trouble?.why).toMatch(/^The server did not accept the connection/);
    transfers.get()[0]?.again();
    hello(1);
    close(1, { reason: "forced_close", exitCode: null, message: "root@example.com ended it." });
    await become("failed");
    expect(state(0)?.trouble?.why).toMatch(/^root@example.com ended it\./);
  });

  it("come back after a lost connection", async () => {
    put(file("a", "aa"));
    hello(0);
    await allSent(0);
    socket(0).drop();
    expect(state(0)).toMatchObject({ phase: "reconnecting", tries: 1 });
    hello(1);
    await allSent(1);
    copied(1, "aa");
    await become("done");
  });

  it("end with the login", () => {
    put(file("a", "aa"), file("b", "bb"), file("c", "cc"));
    hello(0);
    endAllShells();
    expect(transfers.get()).toEqual([]);
    expect(socket(0).of("close")).toHaveLength(1);
    expect(sockets).toHaveLength(2);
  });

  it("are asked about before the page is left, and ended with it", () => {
    const stop = watchTransfers();
    const leave = () => window.dispatchEvent(new Event("beforeunload", { cancelable: true }));
    expect(leave()).toBe(true);
    put(file("a", "aa"));
    hello(0);
    expect(leave()).toBe(false);
    window.dispatchEvent(new Event("pagehide"));
    expect(socket(0).of("close")).toHaveLength(1);
    expect(underWay()).toEqual([]);
    expect(leave()).toBe(true);
    stop();
  });

  it("go on in a page that was kept for them, though the login is another person's by now; what waits does not", () => {
    keepShells("ada")();
    put(file("a", "aa"), file("b", "bb"), file("c", "cc"), file("d", "dd"));
    hello(0);
    hello(1);
    const stop = keepShells("eve");
    expect(phases()).toEqual(["running", "running", "failed", "failed"]);
    expect(socket(0).of("close")).toEqual([]);
    close(0, { reason: "pod_deleted", exitCode: null });
    expect(sockets).toHaveLength(2);
    stop();
  });

  it("do not begin after the login of the one before has ended, which may be another person's by then", () => {
    put(file("a", "aa"), file("b", "bb"), file("c", "cc"), file("d", "dd"));
    hello(0);
    hello(1);
    for (const n of [0, 1]) close(n, { reason: "unauthorized", exitCode: null });
    expect(phases()).toEqual(["failed", "failed", "failed", "failed"]);
    expect(state(0)?.trouble).toEqual({
      why: "The copy ended: signed out. Sign in again, then press Retry.",
      requestId: "",
    });
    expect(state(2)?.trouble).toEqual({
      why: "Not begun: you were signed out. Sign in again, then press Retry.",
      requestId: "",
    });
    expect(sockets).toHaveLength(2);
  });
});

function print(n: number, text: string): void {
  const data = new ArrayBuffer(text.length);
  new Uint8Array(data).set(new TextEncoder().encode(text));
  socket(n).onmessage?.({ data });
}

describe("a download", () => {
  it("that is small is saved under its own name", async () => {
    get("/srv/data/report.csv");
    hello(0, { directory: false, size: 5 });
    expect(socket(0).frames[0]).toMatchObject({ file: { op: "get", path: "/srv/data/report.csv", name: "" } });
    print(0, "hello");
    copied(0, "hello");
    await become("done");
    expect(saved.map(({ name, blob }) => [name, blob.size])).toEqual([["report.csv", 5]]);
  });

  it("of a folder is called an archive", async () => {
    get("/srv/data/");
    hello(0, { directory: true, size: null });
    copied(0, "");
    await become("done");
    expect(saved.map(({ name }) => name)).toEqual(["data.tar"]);
  });

  it("that is large goes where its reader says, and waits for that", async () => {
    const written: number[] = [];
    const closed = vi.fn();
    const handle = {
      createWritable: async () => ({
        write: async (bytes: Uint8Array) => void written.push(bytes.length),
        close: async () => closed(),
        abort: async () => {},
      }),
    };
    const picker = vi.fn().mockRejectedValueOnce(new DOMException("no", "AbortError")).mockResolvedValueOnce(handle);
    vi.stubGlobal("showSaveFilePicker", picker);
    get("/srv/core");
    hello(0, { directory: false, size: UNASKED_BYTES + 1 });
    print(0, "hello");
    expect(state(0)).toMatchObject({ phase: "running", asksWhere: true });
    transfers.get()[0]?.chooseWhere();
    await until(() => expect(picker).toHaveBeenCalledWith({ suggestedName: "core" }));
    expect(state(0)?.asksWhere).toBe(true);
    expect(written).toEqual([]);
    transfers.get()[0]?.chooseWhere();
    await until(() => expect(written).toEqual([5]));
    expect(state(0)?.asksWhere).toBe(false);
    copied(0, "hello");
    await become("done");
    expect(closed).toHaveBeenCalledOnce();
    expect(saved).toEqual([]);
  });

  /** A large one that is over at the server, while the browser still puts it in its place. */
  async function closing() {
    let closed = () => {};
    const abort = vi.fn(async () => {});
    const close = vi.fn(
      () =>
        new Promise<void>((resolve) => {
          closed = resolve;
        }),
    );
    const handle = { createWritable: async () => ({ write: async () => {}, close, abort }) };
    vi.stubGlobal("showSaveFilePicker", async () => handle);
    get("/srv/core");
    hello(0, { directory: false, size: UNASKED_BYTES + 1 });
    transfers.get()[0]?.chooseWhere();
    print(0, "hello");
    copied(0, "hello");
    await until(() => expect(close).toHaveBeenCalledOnce());
    return { abort, closed: () => act(async () => closed()) };
  }

  it("that is cancelled while it is saved is not announced", async () => {
    const { abort, closed } = await closing();
    transfers.get()[0]?.cancel();
    await closed();
    expect(abort).toHaveBeenCalledOnce();
    expect(phases()).toEqual(["cancelled"]);
    expect(notice.get()).toBeNull();
  });

  it("that is tried again is not done by the one before", async () => {
    const { closed } = await closing();
    const [transfer] = transfers.get();
    transfer?.cancel();
    transfer?.again();
    await closed();
    expect(phases()).toEqual(["opening"]);
    hello(1, { directory: false, size: 5 });
    print(1, "hello");
    copied(1, "hello");
    await become("done");
    expect(transfer?.busy).toBe(false);
  });

  it("that is tried again asks where it goes, though the one before is answered then", async () => {
    const answers: ((handle: unknown) => void)[] = [];
    vi.stubGlobal("showSaveFilePicker", () => new Promise((resolve) => answers.push(resolve)));
    get("/srv/core");
    hello(0, { directory: false, size: UNASKED_BYTES + 1 });
    const [transfer] = transfers.get();
    transfer?.chooseWhere();
    transfer?.cancel();
    close(0, { reason: "client_close" });
    transfer?.again();
    hello(1, { directory: false, size: UNASKED_BYTES + 1 });
    const abort = vi.fn(async () => {});
    await act(async () => answers[0]?.({ createWritable: async () => ({ abort }) }));
    expect(abort).toHaveBeenCalledOnce();
    expect(state(0)).toMatchObject({ phase: "running", asksWhere: true });
    transfer?.chooseWhere();
    expect(answers).toHaveLength(2);
  });

  it("that no browser could hold is refused where none writes to the disk", async () => {
    get("/srv/core");
    hello(0, { directory: false, size: HELD_BYTES + 1 });
    await become("failed");
    expect(state(0)?.trouble?.why).toContain("at most 512 MiB are downloaded here");
    expect(socket(0).of("close")).toHaveLength(1);
  });

  it.each([
    ["/var/log/app.log", false, "app.log"],
    ["/var/log/", true, "log.tar"],
    ["/", true, "files.tar"],
    ["..", true, "files.tar"],
    ["a\nname", false, "a\nname"],
  ])("of %j (a folder: %s) is called %j", (path, directory, name) => {
    expect(nameHere(path, directory)).toBe(name);
  });
});

/** A folder as the browser tells of one that was dropped: two of its entries at a time. */
function folder(name: string, inside: (File | FileSystemDirectoryEntry)[]): FileSystemDirectoryEntry {
  const entries = inside.map((one) =>
    one instanceof File ? { name: one.name, isDirectory: false, file: (got: (file: File) => void) => got(one) } : one,
  );
  const createReader = () => {
    let at = 0;
    return {
      readEntries(got: (some: unknown[]) => void) {
        const some = entries.slice(at, at + (entries.length > 100 ? 1000 : 2));
        at += some.length;
        setTimeout(() => got(some));
      },
    };
  };
  return { name, isDirectory: true, createReader } as unknown as FileSystemDirectoryEntry;
}

describe("what is asked before a copy", () => {
  function open(): void {
    render(
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <TipProvider>
          <CopyDialogs />
        </TipProvider>
      </QueryClientProvider>,
    );
  }
  const button = (name: string | RegExp) => screen.getByRole<HTMLButtonElement>("button", { name });
  const path = () => screen.getByRole<HTMLTextAreaElement>("textbox", { name: /^(To|From|Into the folder)$/ });
  const wishes = () => transfers.get().map(({ wish }) => wish);

  it("is where, with a folder for several files, and the shell's own reason", async () => {
    open();
    act(() => askUpload(newShell(TARGET), { files: [file("a", "aa"), file("b", "bb")], folders: [] }));
    const dialog = screen.getByRole("dialog", { name: "Upload files" });
    expect(dialog.textContent).toContain("demo · shop/web-0 · app");
    expect(path().value).toBe("/tmp/");
    fireEvent.change(path(), { target: { value: "/srv/www" } });
    fireEvent.click(button("Leave out b"));
    fireEvent.change(screen.getByLabelText("Files to upload", { selector: "input" }), {
      target: { files: [file("c", "cc")] },
    });
    fireEvent.keyDown(path(), { key: "Enter" });
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(wishes()).toMatchObject([
      { path: "/srv/www/", file: { name: "a" }, place: { reason: "INC-7" } },
      { path: "/srv/www/", file: { name: "c" } },
    ]);
  });

  it("takes folders, as archives to be unpacked into a folder", async () => {
    open();
    const entry = folder("src", [file("a", "aa"), folder("deep", [file("b", "bb")])]);
    act(() => askUpload(newShell(TARGET), { files: [], folders: [entry] }));
    expect(screen.getByText("Reading what is in the folder")).toBeTruthy();
    await screen.findByText("src/");
    const chosen = Object.defineProperty(file("c", "cc"), "webkitRelativePath", { value: "lib/x/c" });
    fireEvent.change(screen.getByLabelText("Folder to upload", { selector: "input" }), { target: { files: [chosen] } });
    await screen.findByText("lib/");
    fireEvent.change(path(), { target: { value: "/srv" } });
    fireEvent.click(button("Upload 2 files"));
    hello(0);
    expect(socket(0).frames[0]).toMatchObject({ file: { op: "unpack", path: "/srv/", name: "" } });
    await allSent(0);
    const archive = Buffer.concat(socket(0).stdin);
    expect((socket(0).frames[0] as { file: { size: number } }).file.size).toBe(archive.length);
    expect(execFileSync("tar", ["tf", "-"], { input: archive }).toString()).toBe(
      "src/\nsrc/a\nsrc/deep/\nsrc/deep/b\n",
    );
    hello(1);
    await allSent(1);
    expect(execFileSync("tar", ["xOf", "-", "lib/x/c"], { input: Buffer.concat(socket(1).stdin) }).toString()).toBe(
      "cc",
    );
  });

  it("takes no folder that is too full, or cannot be read, and says so", async () => {
    open();
    const full = folder("full", new Array(MAX_ENTRIES).fill(file("a", "")));
    const gone = { ...folder("gone", []), createReader: () => ({ readEntries: (_: unknown, no: () => void) => no() }) };
    act(() => askUpload(newShell(TARGET), { files: [], folders: [full, gone as never] }));
    await screen.findByText(/^full holds more than 10000 files\. Pack it/);
    await screen.findByText("gone could not be read. Is it still there?");
    expect(button("Upload").disabled).toBe(true);
  });

  it("forgets a folder that was still being read for a question that is closed", async () => {
    open();
    let tell = (_: unknown[]) => {};
    const readEntries = (got: typeof tell) => {
      tell = got;
    };
    const slow = { ...folder("src", []), createReader: () => ({ readEntries }) };
    act(() => askUpload(newShell(TARGET), { files: [], folders: [slow as never] }));
    act(() => askUpload(newShell(TARGET), { files: [file("b", "bb")], folders: [] }));
    await act(async () => tell([]));
    expect(copyAsked.get()).toMatchObject({ files: [{ name: "b" }], packing: 0 });
  });

  it("takes the whole path of one file, and proposes it the next time", () => {
    open();
    const shell = newShell(TARGET);
    act(() => askUpload(shell, { files: [file("a", "aa")], folders: [] }));
    fireEvent.change(path(), { target: { value: "/srv/as-this" } });
    fireEvent.click(button("Upload"));
    expect(wishes()).toMatchObject([{ path: "/srv/as-this" }]);
    act(() => askUpload(shell, { files: [file("b", "bb")], folders: [] }));
    expect(path().value).toBe("/srv/as-this");
  });

  it("leaves out what is too large or has too long a name, before anything is sent", async () => {
    open();
    act(() =>
      askUpload(newShell(TARGET), {
        files: [sized("big", 1024 * MIB + 1), file("n".repeat(300), ""), file("good", "")],
        folders: [],
      }),
    );
    await screen.findByText("It is larger than 1.0 GiB, the most that is copied here.");
    expect(screen.getByText("Its name has 300 bytes, and at most 255 are taken. Rename it first.")).toBeTruthy();
    fireEvent.click(button("Upload"));
    expect(wishes()).toMatchObject([{ file: { name: "good" } }]);
    expect(sockets).toHaveLength(1);
  });

  it("says how large a file may be, and each of several", async () => {
    open();
    const shell = newShell(TARGET);
    act(() => askUpload(shell, { files: [file("a", ""), file("b", "")], folders: [] }));
    await screen.findByText("At most 1.0 GiB each");
    act(() => askUpload(shell, { files: [file("a", "")], folders: [] }));
    await screen.findByText("At most 1.0 GiB");
  });

  it("keeps a line break in a path, and says so", () => {
    open();
    act(() => askDownload(newShell(TARGET)));
    expect(button("Download").disabled).toBe(true);
    fireEvent.change(path(), { target: { value: "/srv/a\nname" } });
    expect(screen.getByText("The path has a line break in it, and is used with it.")).toBeTruthy();
    fireEvent.click(button("Download"));
    expect(wishes()).toMatchObject([{ way: "down", path: "/srv/a\nname" }]);
  });

  it("is nothing where copying is switched off", async () => {
    maxFileBytes = 0;
    open();
    act(() => askDownload(newShell(TARGET)));
    await screen.findByText(/^Copying files is switched off here/);
    expect(button("Download").disabled).toBe(true);
  });

  it("is why, where the cluster wants to know and the shell does not say", async () => {
    requireReason = true;
    open();
    act(() => askDownload(newShell({ ...TARGET, reason: "" })));
    fireEvent.change(path(), { target: { value: "/etc/hosts" } });
    const why = await screen.findByRole("textbox", { name: "Why are you here?" });
    expect(button("Download").disabled).toBe(true);
    fireEvent.change(why, { target: { value: " INC-8 " } });
    fireEvent.click(button("Download"));
    expect(wishes()).toMatchObject([{ place: { reason: "INC-8" } }]);
  });

  it.each([
    ["nothing", "", "Say where."],
    ["a NUL", "/a\0b", "A path cannot hold a NUL character."],
    ["4096 bytes", "/".repeat(4096), ""],
    ["more", "é".repeat(2049), "The path has 4098 bytes, and at most 4096 are taken."],
  ])("looks at a path with %s", (_, text, trouble) => {
    expect(pathTrouble(text)).toBe(trouble);
  });

  it("knows no limit before the server has told it", () => {
    expect(fileTrouble({ name: "a", size: 2 ** 50 }, null)).toBe("");
  });

  it("is nothing of a debug container that is not there yet", () => {
    const shell = newShell({ ...TARGET, debug: "busybox" });
    expect(placeOfFiles(shell)).toBeNull();
    askUpload(shell);
    expect(copyAsked.get()).toBeNull();
  });
});

describe("files that are dragged", () => {
  const dropped = (...items: (File | FileSystemDirectoryEntry)[]) => ({
    types: ["Files"],
    dropEffect: "",
    items: items.map((item) => ({
      kind: "file",
      getAsFile: () => (item instanceof File ? item : file(item.name, "")),
      webkitGetAsEntry: () => (item instanceof File ? { isDirectory: false } : item),
    })),
  });

  it("show where they would go, and are asked about when they are dropped", async () => {
    const shell = newShell(TARGET);
    const { container } = render(
      <DropTarget shell={shell} className="">
        terminal
      </DropTarget>,
    );
    const target = container.firstElementChild as Element;
    const dataTransfer = dropped(file("a", "aa"), folder("src", []));
    expect(fireEvent.dragOver(target, { dataTransfer: { types: ["text/plain"] } })).toBe(true);
    expect(screen.queryByTestId("drop-target")).toBeNull();
    expect(fireEvent.dragOver(target, { dataTransfer })).toBe(false);
    expect(screen.getByTestId("drop-target").textContent).toContain("demo · shop/web-0 · app");
    fireEvent.dragLeave(target, { relatedTarget: document.body });
    expect(screen.queryByTestId("drop-target")).toBeNull();
    fireEvent.drop(target, { dataTransfer });
    expect(copyAsked.get()).toMatchObject({ way: "up", files: [{ name: "a" }], packing: 1 });
    await until(() =>
      expect(copyAsked.get()).toMatchObject({ files: [{}, { name: "src", folder: true }], packing: 0 }),
    );
  });

  it("never replace the page where they are dropped beside", () => {
    const stop = watchDrops();
    expect(fireEvent.drop(document.body, { dataTransfer: dropped() })).toBe(false);
    expect(fireEvent.dragOver(document.body, { dataTransfer: dropped() })).toBe(false);
    expect(fireEvent.drop(document.body, { dataTransfer: { types: ["text/plain"] } })).toBe(true);
    stop();
  });
});

describe("the tray", () => {
  const row = (name: string) =>
    screen.getAllByTestId("transfer").find((one) => one.textContent?.includes(name)) as HTMLElement;

  it("shows what is under way before what is done, how far it is, and what became of the others", async () => {
    render(
      <TipProvider>
        <TransferTray />
      </TipProvider>,
    );
    expect(screen.queryByRole("region", { name: "Transfers" })).toBeNull();
    act(() => put(file("1.txt", "aa"), file("2.txt", "bb"), file("3\n.txt", "cc")));
    act(() => hello(0));
    await allSent(0);
    act(() => socket(0).say({ type: "stdin_ack", offset: 1 }));
    await until(() => expect(row("1.txt").textContent).toContain("1 B of 2 B"));
    expect(within(row("1.txt")).getByRole("progressbar").getAttribute("aria-valuenow")).toBe("50");
    expect(screen.getByRole("status").textContent).toBe("2 under way · 1 waiting");
    expect(row("3␊.txt").textContent).toContain("waiting · 2 B");
    act(() => copied(0, "aa"));
    await until(() => expect(row("1.txt").getAttribute("data-phase")).toBe("done"));
    expect(screen.getAllByTestId("transfer").at(-1)).toBe(row("1.txt"));
    expect(row("1.txt").textContent).toContain(sha256("aa"));

    fireEvent.click(screen.getByRole("button", { name: "Cancel 2.txt" }));
    fireEvent.click(screen.getByRole("button", { name: "Dismiss 1.txt" }));
    expect(screen.getByRole("status").textContent).toBe("1 under way · 1 cancelled");
    // The button that was pressed is gone, and the keyboard is not.
    expect(document.activeElement?.getAttribute("aria-expanded")).toBe("true");
    fireEvent.click(screen.getByRole("button", { name: "Retry 2.txt" }));
    fireEvent.click(screen.getByRole("button", { name: /^Transfers/ }));
    expect(screen.queryByTestId("transfer")).toBeNull();
  });

  it("shows what failed before all that goes well, and says so first", async () => {
    render(
      <TipProvider>
        <TransferTray />
      </TipProvider>,
    );
    act(() => put(file("1.txt", "aa"), file("2.txt", "bb"), file("3.txt", "cc")));
    act(() => socket(1).onopen?.());
    act(() => close(1, { reason: "refused", exitCode: null, message: "There is no room." }));
    await until(() => expect(row("2.txt").getAttribute("data-phase")).toBe("failed"));
    expect(screen.getAllByTestId("transfer").map((one) => one.getAttribute("data-phase"))).toEqual([
      "failed",
      "opening",
      "opening",
    ]);
    expect(screen.getByRole("status").textContent).toBe("1 failed · 2 under way");
    expect(screen.getByRole("status").title).toBe("1 failed · 2 under way");
  });
});
