import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FakeClock, FakeSocket } from "./fakes.ts";
import { type CopyEnd, type CopySink, type CopySource, FileCopy, NotKept, SLICE } from "./files.ts";
import type { FoundFile } from "./frames.ts";
import { bytesAt } from "./modelserver.ts";

const WINDOW = 1_048_576;
const HELLO = {
  type: "hello",
  sessionId: "s1",
  resumeToken: "secret",
  resumeSeconds: 600,
  offset: 0,
  stdinOffset: 0,
  window: WINDOW,
  stdinWindow: WINDOW,
};
/** A busy machine takes its time. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000 });
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let sockets: FakeSocket[];
let ends: CopyEnd[];
let released: number;
let tries: number[];
let clock: FakeClock;

function line(): FakeSocket {
  const socket = sockets.at(-1);
  if (!socket) throw new Error("no connection");
  return socket;
}

beforeEach(() => {
  sockets = [];
  ends = [];
  tries = [];
  clock = new FakeClock();
  released = 0;
});

function begin(carries: { up: CopySource } | { down: (found: FoundFile) => Promise<CopySink> }): FileCopy {
  return new FileCopy({
    url: "ws://host/exec",
    container: "app",
    reason: "",
    file: { path: "/tmp/", name: "a\nname" },
    carries,
    clock,
    random: () => 0.5,
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    events: {
      connected: () => {},
      reconnecting: (n) => tries.push(n),
      unanswered: () => {},
      ended: (end) => ends.push(end),
      released: () => released++,
    },
  });
}

function answer(change: Record<string, unknown> = {}): void {
  line().onopen?.();
  line().say({ ...HELLO, file: { directory: false, size: null }, ...change });
}

function close(file: Record<string, unknown> | undefined, change: Record<string, unknown> = {}): void {
  line().say({ type: "closed", reason: "completed", exitCode: 0, message: "Copied.", file, ...change });
}

function print(bytes: Uint8Array): void {
  line().onmessage?.({ data: bytes.slice().buffer });
}

/** The connection breaks, and the page tries to get another one. */
function lose(): void {
  const before = sockets.length;
  line().drop();
  if (sockets.length === before) clock.pass(5_000);
}

const all = (bytes: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(bytes));
const acked = (offset: number) => line().say({ type: "stdin_ack", offset });
/** Lets what is read, and written, happen. */
const settled = () => new Promise((next) => setTimeout(next));

/** A file in memory, which notes how far it was read. */
function source(bytes: Uint8Array): CopySource & { reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    reads,
    size: bytes.length,
    read: async (from, to) => {
      reads.push([from, to]);
      return bytes.subarray(from, to);
    },
  };
}

class Kept implements CopySink {
  readonly bytes: Uint8Array[] = [];
  finished = false;
  abandoned = false;
  write = async (bytes: Uint8Array): Promise<void> => {
    this.bytes.push(bytes.slice());
  };
  finish = async (): Promise<void> => {
    this.finished = true;
  };
  abandon = (): void => {
    this.abandoned = true;
  };
}

describe("an upload", () => {
  it("asks for a file and no terminal, and sends all of it, then the end", async () => {
    const bytes = bytesAt(0, 600_000);
    begin({ up: source(bytes) });
    answer();
    expect(line().frames[0]).toEqual({
      type: "open",
      container: "app",
      reason: "",
      command: [],
      tty: false,
      file: { op: "put", path: "/tmp/", name: "a\nname", size: 600_000 },
    });
    await until(() => expect(line().of("eof")).toHaveLength(1));
    expect(sha256(all(line().stdin))).toBe(sha256(bytes));
    close({ bytes: 600_000, sha256: sha256(bytes), verified: true });
    await settled();
    expect(ends).toEqual([{ kind: "done", file: { bytes: 600_000, sha256: sha256(bytes), verified: true } }]);
    expect(released).toBe(1);
  });

  it("of an empty file is its end alone", async () => {
    begin({ up: source(new Uint8Array()) });
    answer();
    await until(() => expect(line().of("eof")).toHaveLength(1));
    expect(line().stdin).toEqual([]);
    close({ bytes: 0, sha256: sha256(new Uint8Array()), verified: true });
    await settled();
    expect(ends[0]?.kind).toBe("done");
  });

  it("reads no further than the window and two slices, until the server has taken more", async () => {
    const file = source(bytesAt(0, 4 * WINDOW));
    const copy = begin({ up: file });
    answer();
    await until(() => expect(line().stdinBytes).toBe(WINDOW));
    await settled();
    expect(file.reads.at(-1)?.[1]).toBeLessThanOrEqual(WINDOW + 2 * SLICE);
    expect(Math.max(...file.reads.map(([from, to]) => to - from))).toBe(SLICE);
    expect(copy.bytes).toBe(0);
    acked(WINDOW / 2);
    await until(() => expect(line().stdinBytes).toBe(1.5 * WINDOW));
    expect(copy.bytes).toBe(WINDOW / 2);
    expect(line().of("eof")).toEqual([]);
  });

  it("goes on after a lost connection where the server stands, and tells the end again", async () => {
    const bytes = bytesAt(0, 3_000_000);
    begin({ up: source(bytes) });
    const taken: Uint8Array[] = [];
    let stands = 0;
    for (const keeps of [0, 500_000, 700_001, 1_000_000]) {
      answer({ stdinOffset: stands, resumed: stands > 0 });
      acked(stands);
      await until(() => expect(line().stdinBytes).toBe(WINDOW));
      await settled();
      // Of what was sent last the server has got a part.
      const got = all(line().stdin).subarray(0, keeps);
      taken.push(got);
      stands += got.length;
      lose();
    }
    answer({ stdinOffset: stands, resumed: true });
    acked(stands);
    const rest = bytes.length - stands;
    await until(() => expect(line().stdinBytes).toBe(rest));
    expect(line().of("eof")).toHaveLength(1);
    const last = all(line().stdin);
    // Lost once more, after the end was told.
    lose();
    answer({ stdinOffset: stands + 100, resumed: true });
    await until(() => expect(line().of("eof")).toHaveLength(1));
    expect(sha256(all(line().stdin))).toBe(sha256(last.subarray(100)));
    expect(sha256(all([...taken, last]))).toBe(sha256(bytes));
    close({ bytes: bytes.length, sha256: sha256(bytes), verified: true });
    await settled();
    expect(ends[0]?.kind).toBe("done");
    expect(tries).toEqual([1, 1, 1, 1, 1]);
  });

  it.each([
    ["becomes shorter", async (from: number, to: number) => new Uint8Array(Math.max(0, Math.min(to, 300_000) - from))],
    ["cannot be read any more", () => Promise.reject(new DOMException("gone", "NotReadableError"))],
  ])("of a file that %s is ended in the container too, and says so", async (_, read) => {
    begin({ up: { size: 2_000_000, read } });
    answer();
    await until(() => expect(ends).toHaveLength(1));
    expect(ends[0]).toMatchObject({
      kind: "failed",
      why: expect.stringContaining("changed or removed while it was read"),
    });
    expect(line().of("close")).toHaveLength(1);
    expect(line().of("eof")).toEqual([]);
    expect(released).toBe(0);
    close(undefined, { reason: "client_close" });
    expect(released).toBe(1);
    expect(ends).toHaveLength(1);
  });

  it("that arrived as something else is not done", async () => {
    begin({ up: source(bytesAt(0, 10)) });
    answer();
    await until(() => expect(line().of("eof")).toHaveLength(1));
    close({ bytes: 10, sha256: sha256(bytesAt(1, 11)), verified: false });
    await settled();
    expect(ends[0]).toMatchObject({ kind: "failed", why: expect.stringContaining("The copy is not what was read") });
  });

  it("fails with the container's own complaint", async () => {
    begin({ up: source(bytesAt(0, 10)) });
    answer();
    const message = "The copy failed: cat: write error: No space left on device.";
    close({ bytes: 10, sha256: "", verified: false }, { exitCode: 1, message });
    await settled();
    expect(ends).toEqual([{ kind: "failed", why: message }]);
  });

  it("that is cancelled tells the server, also later where there is no connection", async () => {
    const copy = begin({ up: source(bytesAt(0, 10)) });
    answer();
    line().drop();
    copy.cancel();
    expect(released).toBe(1);
    answer({ resumed: true, resumeToken: null });
    expect(line().of("close")).toHaveLength(1);
    expect(line().stdin).toEqual([]);
    expect(ends).toEqual([]);
  });

  it("hands on a refusal, before and after the session stood", async () => {
    begin({ up: source(bytesAt(0, 10)) });
    line().onopen?.();
    line().say({ type: "error", code: "E_FORBIDDEN", message: "You may not." });
    close(undefined, { reason: "refused", exitCode: null, message: "You may not." });
    await settled();
    expect(ends).toMatchObject([{ kind: "stopped", end: { kind: "said", error: { message: "You may not." } } }]);
    expect(released).toBe(1);
  });

  it("to a server that knows nothing of files is ended", () => {
    begin({ up: source(bytesAt(0, 10)) });
    answer({ file: undefined });
    expect(ends).toMatchObject([{ kind: "failed", why: expect.stringContaining("too old") }]);
    expect(line().of("close")).toHaveLength(1);
  });
});

describe("a download", () => {
  it("keeps every byte once through cuts, acknowledges what is kept, and compares the sums", async () => {
    const bytes = bytesAt(0, 200_000);
    const sink = new Kept();
    const found: FoundFile[] = [];
    const copy = begin({
      down: async (file) => {
        found.push(file);
        return sink;
      },
    });
    answer({ file: { directory: false, size: 200_000 } });
    print(bytes.subarray(0, 90_000));
    await until(() => expect(line().of("ack").at(-1)).toEqual({ type: "ack", offset: 90_000 }));
    print(bytes.subarray(90_000, 120_000));
    line().drop();
    line().onopen?.();
    const { offset } = line().frames[0] as { offset: number };
    expect(line().frames[0]).toMatchObject({ type: "attach", resumeToken: "secret" });
    expect(offset).toBe(90_000);
    line().say({ ...HELLO, resumed: true, resumeToken: null, offset, file: { directory: false, size: 200_000 } });
    print(bytes.subarray(offset));
    close({ bytes: 200_000, sha256: sha256(bytes), verified: false });
    await until(() => expect(ends).toMatchObject([{ kind: "done" }]));
    expect(sha256(all(sink.bytes))).toBe(sha256(bytes));
    expect(sink.finished).toBe(true);
    expect(found).toEqual([{ directory: false, size: 200_000 }]);
    expect(copy.bytes).toBe(200_000);
  });

  it("acknowledges nothing while its place is not chosen, and is done once it is, though the server is long gone", async () => {
    const sink = new Kept();
    let choose: (sink: CopySink) => void = () => {};
    begin({ down: () => new Promise((resolve) => (choose = resolve)) });
    answer();
    print(bytesAt(0, 70_000));
    close({ bytes: 70_000, sha256: sha256(bytesAt(0, 70_000)), verified: false });
    await settled();
    expect(line().of("ack")).toEqual([]);
    expect(ends).toEqual([]);
    expect(released).toBe(1);
    choose(sink);
    await until(() => expect(ends).toMatchObject([{ kind: "done" }]));
    expect(sha256(all(sink.bytes))).toBe(sha256(bytesAt(0, 70_000)));
  });

  it("of an empty file waits for its place too", async () => {
    const sink = new Kept();
    begin({ down: async () => sink });
    answer({ file: { directory: false, size: 0 } });
    close({ bytes: 0, sha256: sha256(new Uint8Array()), verified: false });
    await until(() => expect(sink.finished).toBe(true));
    expect(ends[0]?.kind).toBe("done");
  });

  it.each([
    ["a full disk here", new DOMException("full", "QuotaExceededError"), "could not keep the file"],
    ["a sink that says why", new NotKept("Too much to hold."), "Too much to hold."],
  ])("is ended by %s", async (_, thrown, why) => {
    const sink = new Kept();
    sink.write = () => Promise.reject(thrown);
    begin({ down: async () => sink });
    answer();
    print(bytesAt(0, 10));
    await until(() => expect(ends).toMatchObject([{ kind: "failed", why: expect.stringContaining(why) }]));
    expect(sink.abandoned).toBe(true);
    expect(line().of("close")).toHaveLength(1);
  });

  it("with a gap in it, or other bytes than were sent, is not kept", async () => {
    const gap = new Kept();
    begin({ down: async () => gap });
    answer();
    line().say({ type: "gap", from: 0, to: 10, why: "buffer" });
    await settled();
    expect(ends).toMatchObject([{ kind: "failed" }]);
    expect(gap).toMatchObject({ finished: false, abandoned: true });

    const other = new Kept();
    begin({ down: async () => other });
    answer();
    print(bytesAt(0, 10));
    close({ bytes: 11, sha256: sha256(bytesAt(0, 10)), verified: false });
    await until(() =>
      expect(ends).toMatchObject([{}, { kind: "failed", why: expect.stringContaining("10 bytes here, 11 there") }]),
    );
    expect(other).toMatchObject({ finished: false, abandoned: true });
  });

  it("that is cancelled keeps nothing, also where its place comes late", async () => {
    const sink = new Kept();
    let choose: (sink: CopySink) => void = () => {};
    const copy = begin({ down: () => new Promise((resolve) => (choose = resolve)) });
    answer();
    print(bytesAt(0, 10));
    copy.cancel();
    expect(line().of("close")).toHaveLength(1);
    choose(sink);
    await settled();
    expect(sink).toMatchObject({ bytes: [], finished: false, abandoned: true });
    expect(ends).toEqual([]);
  });
});
