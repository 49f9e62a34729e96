import { beforeEach, describe, expect, it } from "vitest";
import { ExecStream } from "./exec.ts";
import { FakeClock, FakeSocket, Recorder } from "./fakes.ts";
import { SUBPROTOCOL } from "./frames.ts";

const HELLO = { type: "hello", sessionId: "s1", container: "app", shell: "bash", window: 131_072, stdinWindow: 65_536 };

let socket: FakeSocket;
let clock: FakeClock;
let seen: Recorder;
let stream: ExecStream;
let asked: string[];

beforeEach(() => {
  socket = new FakeSocket();
  clock = new FakeClock();
  seen = new Recorder();
  asked = [];
  stream = new ExecStream({
    url: "ws://host/exec",
    begin: { kind: "open", container: "app", command: [], tty: true, reason: "" },
    size: { cols: 80, rows: 24 },
    handlers: seen,
    clock,
    openSocket: (url, protocol) => {
      asked = [url, protocol];
      return socket;
    },
  });
});

function connect(hello: Record<string, unknown> = HELLO): void {
  socket.onopen?.();
  socket.say(hello);
}

describe("opening", () => {
  it("asks for the subprotocol and says open first", () => {
    expect(asked).toEqual(["ws://host/exec", SUBPROTOCOL]);
    expect(socket.binaryType).toBe("arraybuffer");
    socket.onopen?.();
    expect(socket.frames).toEqual([
      { type: "open", container: "app", command: [], tty: true, cols: 80, rows: 24, reason: "" },
    ]);
  });

  it("opens with the newest size, and sends a later one after hello, once", () => {
    stream.resize(100, 30);
    socket.onopen?.();
    expect(socket.frames[0]).toMatchObject({ cols: 100, rows: 30 });
    stream.resize(110, 31);
    stream.resize(120, 32);
    expect(socket.of("resize")).toEqual([]);
    socket.say(HELLO);
    stream.resize(120, 32);
    expect(socket.of("resize")).toEqual([{ type: "resize", cols: 120, rows: 32 }]);
  });

  it("keeps sizes within what a terminal can have", () => {
    connect();
    stream.resize(0, 70_000);
    stream.resize(Number.NaN, -3);
    expect(socket.of("resize")).toEqual([
      { type: "resize", cols: 1, rows: 65_535 },
      { type: "resize", cols: 1, rows: 1 },
    ]);
  });

  it("holds what is typed until hello, and begins at its offset", () => {
    stream.write(new Uint8Array(10));
    socket.onopen?.();
    expect(socket.stdin).toEqual([]);
    socket.say({ ...HELLO, stdinOffset: 500 });
    expect(socket.stdinBytes).toBe(10);
    expect(stream.bytesOut).toBe(510);
  });

  it("takes a second hello for nothing", () => {
    connect();
    socket.say({ ...HELLO, sessionId: "s2" });
    expect(seen.hellos.map((hello) => hello.sessionId)).toEqual(["s1"]);
  });
});

describe("staying", () => {
  it("says so in a frame of its own, which is no stdin, and is activity", () => {
    stream.stay();
    socket.onopen?.();
    stream.stay();
    expect(socket.of("stay")).toEqual([]);
    socket.say(HELLO);
    socket.say({ type: "idle_warn", secondsRemaining: 30 });
    expect(seen.warnings).toEqual([30]);
    const before = seen.activities;
    stream.stay();
    expect(socket.of("stay")).toEqual([{ type: "stay" }]);
    expect(socket.stdin).toEqual([]);
    expect(seen.activities).toBe(before + 1);
    socket.say({ type: "closed", reason: "server_idle", exitCode: null, message: "" });
    stream.stay();
    expect(socket.of("stay")).toHaveLength(1);
  });
});

describe("stdin", () => {
  it("never has more than the window unacknowledged, to the byte", () => {
    connect();
    stream.write(new Uint8Array(65_535));
    expect(socket.stdinBytes).toBe(65_535);
    stream.write(new Uint8Array(3));
    expect(socket.stdinBytes).toBe(65_536);
    expect(stream.unsent).toBe(2);
    socket.say({ type: "stdin_ack", offset: 1 });
    expect(socket.stdinBytes).toBe(65_537);
    socket.say({ type: "stdin_ack", offset: 65_537 });
    expect(socket.stdinBytes).toBe(65_538);
    expect(stream.unsent).toBe(0);
  });

  it("sends a paste of many MiB whole, in order, within the window", () => {
    connect();
    const paste = Uint8Array.from({ length: 5 * 1024 * 1024 + 7 }, (_, i) => (i * 31) & 0xff);
    stream.write(paste);
    stream.write(new Uint8Array([1, 2, 3]));
    let acknowledged = 0;
    while (acknowledged < paste.length + 3) {
      expect(socket.stdinBytes - acknowledged).toBeLessThanOrEqual(65_536);
      acknowledged = Math.min(socket.stdinBytes, acknowledged + 40_001);
      socket.say({ type: "stdin_ack", offset: acknowledged });
    }
    const arrived = Buffer.concat(socket.stdin);
    expect(arrived.length).toBe(paste.length + 3);
    expect(arrived.subarray(0, paste.length).equals(Buffer.from(paste))).toBe(true);
    expect([...arrived.subarray(-3)]).toEqual([1, 2, 3]);
  });

  it("passes over acknowledgements of what was never sent, and old ones", () => {
    connect();
    stream.write(new Uint8Array(100_000));
    for (const offset of [90_000, -5, 1.5, Number.MAX_SAFE_INTEGER]) socket.say({ type: "stdin_ack", offset });
    expect(socket.stdinBytes).toBe(65_536);
    socket.say({ type: "stdin_ack", offset: 30_000 });
    socket.say({ type: "stdin_ack", offset: 20_000 });
    expect(socket.stdinBytes).toBe(95_536);
  });

  it("drops on request what was not sent, and goes on", () => {
    connect();
    stream.write(new Uint8Array(100_000));
    expect(stream.discardUnsent()).toBe(100_000 - 65_536);
    stream.write(new Uint8Array([3]));
    socket.say({ type: "stdin_ack", offset: 65_536 });
    expect([...(socket.stdin.at(-1) ?? [])]).toEqual([3]);
  });
});

describe("output", () => {
  it("acknowledges about every 32 KiB, and when all is parsed", () => {
    connect();
    for (let i = 0; i < 8; i++) socket.print(10_000);
    seen.parse(3);
    expect(socket.of("ack")).toEqual([]);
    seen.parse(1);
    expect(socket.of("ack")).toEqual([{ type: "ack", offset: 40_000 }]);
    seen.parse();
    expect(socket.of("ack").at(-1)).toEqual({ type: "ack", offset: 80_000 });
    expect(stream.bytesIn).toBe(80_000);
  });

  it("counts from the offset in hello", () => {
    connect({ ...HELLO, offset: 1_000 });
    socket.print(5);
    seen.parse();
    expect(socket.of("ack")).toEqual([{ type: "ack", offset: 1_005 }]);
  });

  it("jumps over a gap, in order with the output around it", () => {
    connect();
    socket.print(100);
    socket.say({ type: "gap", from: 100, to: 5_000_100, why: "interrupt" });
    socket.print(10);
    seen.parse(1);
    expect(socket.of("ack")).toEqual([]);
    seen.parse(1);
    expect(socket.of("ack").at(-1)).toEqual({ type: "ack", offset: 5_000_100 });
    seen.parse(1);
    expect(socket.of("ack").at(-1)).toEqual({ type: "ack", offset: 5_000_110 });
    expect(seen.gaps).toEqual([{ bytes: 5_000_000, why: "interrupt" }]);
    expect(stream.bytesIn).toBe(110);
  });

  it("passes over a gap that goes back", () => {
    connect();
    socket.print(100);
    socket.say({ type: "gap", from: 0, to: 50, why: "buffer" });
    seen.parse();
    expect(seen.gaps).toEqual([]);
    expect(socket.of("ack")).toEqual([{ type: "ack", offset: 100 }]);
  });

  it("acknowledges nothing after the end", () => {
    connect();
    socket.print(100);
    socket.say({ type: "closed", reason: "container_exit", exitCode: 0 });
    seen.parse();
    expect(socket.of("ack")).toEqual([]);
  });
});

describe("the end", () => {
  it("hands on the server's last word", () => {
    connect();
    socket.say({ type: "closed", reason: "container_exit", exitCode: 7, message: "" });
    socket.drop(1000);
    expect(seen.ends).toEqual([
      { kind: "said", closed: { type: "closed", reason: "container_exit", exitCode: 7, message: "" }, error: null },
    ]);
    // The browser answers the server's close with its own code: only then has the server been heard.
    expect(socket.closedWith).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  it("closes after the last word itself where the server does not", () => {
    connect();
    socket.say({ type: "closed", reason: "container_exit", exitCode: 7, message: "" });
    clock.pass(5_000);
    expect(socket.closedWith).toBe(1000);
    expect(clock.timers).toBe(0);
  });

  it("joins a refusal's error and closed frames", () => {
    socket.onopen?.();
    const session = {
      sessionId: "a",
      cluster: "c",
      namespace: "n",
      pod: "p",
      container: "x",
      startedAt: "t",
      lastActivityAt: "u",
      state: "attached",
    };
    socket.say({
      type: "error",
      code: "E_CAP_USER",
      message: "five of five",
      retryable: true,
      activeSessions: [session, 7],
    });
    socket.say({ type: "closed", reason: "forbidden", exitCode: null, message: "" });
    expect(seen.ends).toMatchObject([
      { kind: "said", closed: { reason: "forbidden" }, error: { code: "E_CAP_USER", activeSessions: [session] } },
    ]);
  });

  it("knows a refusal whose closed frame was lost", () => {
    socket.onopen?.();
    socket.say({ type: "error", code: "E_FORBIDDEN", message: "no" });
    socket.drop(1008);
    expect(seen.ends).toMatchObject([{ kind: "refused", error: { code: "E_FORBIDDEN" } }]);
  });

  it("tells an error that an end is about from one before it", () => {
    connect();
    socket.say({ type: "error", code: "E_INVALID_REQUEST", message: "The new size was not taken." });
    socket.say({ type: "closed", reason: "server_idle", exitCode: null, message: "Nothing was typed." });
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { reason: "server_idle" }, error: null }]);
  });

  it("joins the error and closed frames of a shell that breaks", () => {
    connect();
    socket.say({ type: "error", code: "E_INVALID_REQUEST", message: "The new size was not taken." });
    socket.say({ type: "error", code: "E_CLUSTER_UNREACHABLE", message: "Node n no longer answers." });
    socket.say({ type: "closed", reason: "server_error", exitCode: null, message: "Node n no longer answers." });
    expect(seen.ends).toMatchObject([{ kind: "said", error: { code: "E_CLUSTER_UNREACHABLE" } }]);
  });

  it("does not blame an earlier error for a lost connection", () => {
    connect();
    socket.say({ type: "error", code: "E_INVALID_REQUEST", message: "The new size was not taken." });
    socket.drop();
    expect(seen.ends).toEqual([{ kind: "lost", hadShell: true, why: "closed" }]);
  });

  it("calls a connection that just stops lost, and says whether there was a shell", () => {
    connect();
    socket.drop();
    expect(seen.ends).toEqual([{ kind: "lost", hadShell: true, why: "closed" }]);
  });

  it("calls a refused upgrade lost without a shell", () => {
    socket.drop();
    expect(seen.ends).toEqual([{ kind: "lost", hadShell: false, why: "closed" }]);
  });

  it("closes politely, waiting for the last word", () => {
    connect();
    stream.close();
    stream.close();
    expect(socket.of("close")).toHaveLength(1);
    expect(seen.ends).toEqual([]);
    socket.say({ type: "closed", reason: "client_close", exitCode: 0, message: "" });
    expect(seen.ends).toHaveLength(1);
  });

  it("does not wait for ever for it", () => {
    connect();
    stream.close();
    clock.pass(3_000);
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { reason: "client_close", exitCode: null } }]);
    expect(clock.timers).toBe(0);
  });

  it("ends at once when closed before the socket opened", () => {
    stream.close();
    socket.onopen?.();
    expect(socket.frames).toEqual([]);
    expect(seen.ends).toHaveLength(1);
  });

  it("says nothing more afterwards", () => {
    connect();
    socket.drop();
    socket.print(5);
    stream.write(new Uint8Array(5));
    stream.resize(10, 10);
    stream.networkChanged();
    clock.pass(120_000);
    expect(seen.printed).toBe(0);
    expect(socket.stdinBytes).toBe(0);
    expect(socket.of("resize").concat(socket.of("ping"))).toEqual([]);
    expect(seen.ends).toHaveLength(1);
  });
});

describe("liveness", () => {
  it("pings every ten seconds, with new ids", () => {
    connect();
    clock.pass(9_999);
    expect(socket.of("ping")).toEqual([]);
    clock.pass(1);
    socket.say({ type: "pong", id: 1 });
    clock.pass(10_000);
    expect(socket.of("ping").map((frame) => frame.id)).toEqual([1, 2]);
  });

  it("pings at once when the network goes or is back, and waits for the answer as ever", () => {
    connect();
    stream.networkGone();
    stream.networkChanged();
    expect(socket.of("ping")).toHaveLength(2);
    clock.pass(19_999);
    expect(seen.ends).toEqual([]);
  });

  it("is lost after 25 silent seconds", () => {
    connect();
    clock.pass(24_999);
    expect(seen.ends).toEqual([]);
    clock.pass(1);
    expect(seen.ends).toEqual([{ kind: "lost", hadShell: true, why: "silent" }]);
    expect(socket.closedWith).toBe(1000);
  });

  it("says when an answer is late, and when it comes after all", () => {
    connect();
    clock.pass(14_999);
    expect(seen.doubts).toEqual([]);
    clock.pass(1);
    expect(seen.doubts).toEqual([true]);
    socket.say({ type: "pong", id: 1 });
    clock.pass(4_000);
    expect(seen.doubts).toEqual([true, false]);
    expect(seen.ends).toEqual([]);
  });

  it("stays while anything at all arrives", () => {
    connect();
    for (let i = 0; i < 20; i++) {
      clock.pass(20_000);
      socket.print(1);
    }
    expect(seen.ends).toEqual([]);
  });

  it("does not take a computer's sleep for the server's silence", () => {
    connect();
    stream.networkChanged();
    clock.sleep(3_600_000);
    expect(seen.ends).toEqual([]);
    expect(socket.of("ping")).toHaveLength(2);
    socket.say({ type: "pong", id: 2 });
    clock.pass(20_000);
    expect(seen.ends).toEqual([]);
  });

  it("lives in a hidden tab, where timers run once a minute", () => {
    connect();
    for (let i = 0; i < 10; i++) {
      clock.sleep(60_000);
      socket.say({ type: "pong", id: i });
    }
    expect(seen.ends).toEqual([]);
  });
});

describe("nonsense from the server", () => {
  it.each([
    "",
    "{",
    "null",
    "[]",
    "42",
    '"hello"',
    '{"type":"hello2"}',
    '{"type":"gap"}',
    '{"type":"stdin_ack","offset":"x"}',
    '{"type":"idle_warn"}',
    '{"type":{"a":1}}',
  ])("passes over %s", (text) => {
    connect();
    socket.say(text);
    socket.print(3);
    expect(seen.printed).toBe(3);
    expect(seen.ends).toEqual([]);
  });

  it("passes over output before hello and frames that are neither text nor bytes", () => {
    socket.onopen?.();
    socket.print(10);
    socket.onmessage?.({ data: new Blob() });
    expect(seen.printed).toBe(0);
    socket.say({ type: "hello" });
    expect(seen.hellos[0]).toMatchObject({ sessionId: "", window: 131_072, stdinWindow: 65_536, offset: 0 });
  });

  it("takes a closed frame without fields", () => {
    connect();
    socket.say({ type: "closed" });
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { reason: "", exitCode: null } }]);
  });
});

it("hands on idle warnings, and activity that ends them", () => {
  connect();
  socket.say({ type: "idle_warn", secondsRemaining: 30 });
  expect(seen.warnings).toEqual([30]);
  const before = seen.activities;
  stream.write(new Uint8Array(1));
  socket.print(1);
  expect(seen.activities).toBe(before + 2);
});
