import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { LONGEST_WAIT_MS, SHORTEST_WAIT_MS, waitAfter } from "./comeback.ts";
import { AWAY_BYTES, type Beginning, ExecStream } from "./exec.ts";
import { FakeClock, FakeSocket, Recorder } from "./fakes.ts";
import { bytesAt, ModelServer, seeded } from "./modelserver.ts";

const HELLO = {
  type: "hello",
  sessionId: "s1",
  resumed: false,
  resumeToken: "secret",
  resumeSeconds: 600,
  offset: 0,
  stdinOffset: 0,
  window: 131_072,
  stdinWindow: 65_536,
};
const AGAIN = { ...HELLO, resumed: true, resumeToken: null };

const OPEN: Beginning = { kind: "open", container: "app", command: [], tty: true, reason: "" };

let clock: FakeClock;
let seen: Recorder;
let stream: ExecStream;
let sockets: FakeSocket[];

/** The newest connection. */
function line(): FakeSocket {
  const socket = sockets.at(-1);
  if (!socket) throw new Error("no connection");
  return socket;
}

function begin(how: Beginning = OPEN): void {
  sockets = [];
  clock = new FakeClock();
  seen = new Recorder();
  stream = new ExecStream({
    url: "ws://host/exec",
    begin: how,
    size: { cols: 80, rows: 24 },
    handlers: seen,
    clock,
    random: () => 0.5,
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
  });
}

function answer(frame: Record<string, unknown>): void {
  line().onopen?.();
  line().say(frame);
}

function refuse(error: Record<string, unknown>): void {
  line().onopen?.();
  line().say({ type: "error", message: "no", ...error });
  line().say({ type: "closed", reason: "refused", exitCode: null, message: "no" });
}

beforeEach(() => begin());

const text = (bytes: readonly Uint8Array[]) => Buffer.concat(bytes).toString();
const type = (words: string) => stream.write(new TextEncoder().encode(words));

describe("a lost connection", () => {
  it("is come back from at once, with the token and the offset that was parsed", () => {
    answer(HELLO);
    line().print(1_000);
    seen.parse();
    line().print(500);
    line().drop();
    expect(seen.tries).toEqual([1]);
    expect(seen.ends).toEqual([]);
    line().onopen?.();
    expect(line().frames[0]).toEqual({
      type: "attach",
      sessionId: "s1",
      resumeToken: "secret",
      takeOver: false,
      offset: 1_000,
      cols: 80,
      rows: 24,
    });
    line().say({ ...AGAIN, offset: 1_000 });
    expect(seen.hellos.map((hello) => hello.resumed)).toEqual([false, true]);
    expect(clock.timers).toBe(1);
  });

  it("brings nothing twice: what the terminal was given already is dropped, and acknowledged when it is parsed", () => {
    answer(HELLO);
    line().print(1_000);
    seen.parse();
    line().print(500);
    line().drop();
    answer({ ...AGAIN, offset: 1_000 });
    seen.parse();
    // Beyond what this connection has brought, an acknowledgement would be a lie.
    expect(line().of("ack")).toEqual([]);
    line().print(300);
    expect(seen.printed).toBe(1_500);
    expect(line().of("ack").at(-1)).toEqual({ type: "ack", offset: 1_300 });
    line().print(700);
    expect(seen.printed).toBe(2_000);
    seen.parse();
    expect(line().of("ack").at(-1)).toEqual({ type: "ack", offset: 2_000 });
    expect(stream.bytesIn).toBe(2_000);
  });

  it("acknowledges nothing on a new connection before the server has said where it stands", () => {
    answer(HELLO);
    line().print(100_000);
    line().drop();
    line().onopen?.();
    expect(line().of("attach")).toMatchObject([{ offset: 0 }]);
    // What the old connection brought is shown meanwhile; on this one the server has sent none of it yet.
    seen.parse();
    expect(line().of("ack")).toEqual([]);
    line().say({ ...AGAIN, offset: 0 });
    expect(line().of("ack")).toEqual([]);
    line().print(40_000);
    expect(line().of("ack")).toEqual([{ type: "ack", offset: 40_000 }]);
  });

  it("brings nothing twice round a gap either", () => {
    answer(HELLO);
    line().print(100);
    line().say({ type: "gap", from: 100, to: 600, why: "interrupt" });
    line().print(50);
    line().drop();
    answer({ ...AGAIN, offset: 0 });
    line().say({ type: "gap", from: 0, to: 500, why: "buffer" });
    line().print(150);
    expect(seen.gaps).toEqual([{ bytes: 500, why: "interrupt" }]);
    expect(seen.printed).toBe(150);
    line().print(10);
    expect(seen.printed).toBe(160);
  });

  it("tells what is missing, by a gap and also where none was announced", () => {
    answer(HELLO);
    line().print(100);
    seen.parse();
    line().drop();
    answer({ ...AGAIN, offset: 100 });
    line().say({ type: "gap", from: 100, to: 900, why: "buffer" });
    expect(seen.gaps).toEqual([{ bytes: 800, why: "buffer" }]);
    line().drop();
    clock.pass(1_000);
    answer({ ...AGAIN, offset: 1_000 });
    expect(seen.gaps).toEqual([
      { bytes: 800, why: "buffer" },
      { bytes: 100, why: "buffer" },
    ]);
  });

  it("loses no keystroke: the server says where it stands, and the rest is sent again", () => {
    answer(HELLO);
    type("abcdef");
    line().say({ type: "stdin_ack", offset: 2 });
    line().drop();
    type("ghi");
    answer({ ...AGAIN, stdinOffset: 4 });
    expect(text(line().stdin)).toBe("efghi");
    line().drop();
    clock.pass(1_000);
    answer({ ...AGAIN, stdinOffset: 9 });
    expect(text(line().stdin)).toBe("");
    expect(stream.bytesOut).toBe(9);
  });

  it("counts what the server has and did not hand on against the window", () => {
    answer(HELLO);
    stream.write(new Uint8Array(70_000));
    line().drop();
    answer({ ...AGAIN, stdinOffset: 65_536 });
    expect(line().stdinBytes).toBe(0);
    line().say({ type: "stdin_ack", offset: 65_000 });
    expect(line().stdinBytes).toBe(70_000 - 65_536);
  });

  it("drops what it kept where somebody else has typed meanwhile", () => {
    answer(HELLO);
    type("abc");
    line().drop();
    type("d");
    answer({ ...AGAIN, stdinOffset: 50 });
    expect(line().stdin).toEqual([]);
    expect(seen.typingDrops).toBe(1);
    type("x");
    expect(text(line().stdin)).toBe("x");
    expect(stream.bytesOut).toBe(51);
  });

  it("keeps what is typed meanwhile up to a bound, and refuses what is beyond it whole", () => {
    answer(HELLO);
    line().drop();
    expect(stream.write(new Uint8Array(AWAY_BYTES - 2))).toBe(true);
    expect(type("abc")).toBe(false);
    expect(type("ab")).toBe(true);
    answer(AGAIN);
    expect(line().stdinBytes).toBe(AWAY_BYTES);
    expect(type("abc")).toBe(true);
  });

  it("sends the size that the terminal has by then", () => {
    answer(HELLO);
    line().drop();
    stream.resize(120, 40);
    answer(AGAIN);
    expect(line().frames[0]).toMatchObject({ type: "attach", cols: 120, rows: 40 });
    expect(line().of("resize")).toEqual([]);
  });

  it("says something at once, for the server ends a shell whose page was lost before its first word", () => {
    answer(HELLO);
    expect(line().of("ping")).toHaveLength(1);
  });

  it("is the end where the server keeps nothing", () => {
    answer({ ...HELLO, resumeSeconds: 0 });
    line().drop();
    expect(seen.ends).toEqual([{ kind: "lost", hadShell: true, why: "closed" }]);
    begin();
    answer({ ...HELLO, resumeToken: null });
    line().drop();
    expect(seen.ends).toEqual([{ kind: "lost", hadShell: true, why: "closed" }]);
  });

  it("is no loss where the server has said that the shell ended", () => {
    answer(HELLO);
    line().say({ type: "closed", reason: "shutdown", exitCode: null, message: "" });
    line().drop(1012);
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { reason: "shutdown" } }]);
    expect(seen.tries).toEqual([]);
  });

  it("shows the rest of a shell that ended meanwhile, and its end", () => {
    answer(HELLO);
    line().drop();
    answer(AGAIN);
    line().print(10);
    line().say({ type: "closed", reason: "completed", exitCode: 3, message: "" });
    expect(seen.printed).toBe(10);
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { exitCode: 3 } }]);
  });

  it("is noticed after 20 silent seconds, and soon where somebody types, looks again or changes the network", () => {
    answer(HELLO);
    line().say({ type: "pong", id: 1 });
    clock.pass(19_999);
    expect(sockets).toHaveLength(1);
    clock.pass(1);
    expect(sockets).toHaveLength(2);

    answer(AGAIN);
    line().say({ type: "pong", id: 1 });
    clock.pass(3_000);
    type("a");
    clock.pass(7_999);
    expect(sockets).toHaveLength(2);
    clock.pass(1);
    expect(sockets).toHaveLength(3);

    answer(AGAIN);
    stream.seen();
    clock.pass(2_999);
    line().say({ type: "pong", id: 2 });
    clock.pass(3_000);
    expect(sockets).toHaveLength(3);
    stream.seen();
    clock.pass(3_000);
    expect(sockets).toHaveLength(4);

    answer(AGAIN);
    stream.networkChanged();
    expect(sockets).toHaveLength(5);
    expect(sockets[3]?.closedWith).toBe(1000);
  });
});

describe("a computer that says it has no network", () => {
  it("loses the connection soon, and is told again", () => {
    answer(HELLO);
    stream.networkGone();
    clock.pass(2_999);
    expect(sockets).toHaveLength(1);
    clock.pass(1);
    expect(sockets).toHaveLength(2);
    expect(seen.tries).toEqual([1]);
    stream.networkGone();
    expect(sockets).toHaveLength(2);
    stream.networkChanged();
    answer(AGAIN);
    expect(seen.hellos).toHaveLength(2);
  });

  it("keeps it where the server answers all the same, or says anything that was not on its way before", () => {
    answer(HELLO);
    stream.networkGone();
    line().say({ type: "pong", id: line().of("ping").length });
    clock.pass(5_000);
    expect(sockets).toHaveLength(1);
    stream.networkGone();
    clock.pass(1_000);
    line().print(1);
    clock.pass(5_000);
    expect(sockets).toHaveLength(1);
    stream.networkGone();
    line().print(1);
    clock.pass(3_000);
    expect(sockets).toHaveLength(2);
  });
});

describe("trying again", () => {
  it("waits longer each time, never less than a quarter of a second, never more than five", () => {
    for (let tries = 0; tries < 30; tries++) {
      for (const random of [0, 0.3, 0.999]) {
        expect(waitAfter(tries, random)).toBeGreaterThanOrEqual(SHORTEST_WAIT_MS);
        expect(waitAfter(tries, random)).toBeLessThanOrEqual(LONGEST_WAIT_MS);
      }
    }
    expect(waitAfter(1, 0.999)).toBeLessThan(500);
    expect(waitAfter(20, 0.999)).toBeGreaterThan(4_900);
    expect(waitAfter(20, 0)).toBe(SHORTEST_WAIT_MS);
  });

  it("counts visibly, and begins anew after a connection that was of use", () => {
    answer(HELLO);
    line().drop();
    for (let i = 1; i < 5; i++) {
      expect(seen.tries.at(-1)).toBe(i);
      line().drop();
      clock.pass(waitAfter(i, 0.5) - 1);
      expect(seen.tries.at(-1)).toBe(i);
      clock.pass(1);
    }
    expect(seen.tries).toEqual([1, 2, 3, 4, 5]);
    expect(seen.unanswereds).toBe(4);
    answer(AGAIN);
    line().print(1);
    line().drop();
    expect(seen.tries.slice(-1)).toEqual([1]);
    expect(sockets).toHaveLength(7);
  });

  it("does not spin where every connection breaks before it is of use", () => {
    answer(HELLO);
    line().drop();
    answer(AGAIN);
    line().drop();
    const before = sockets.length;
    clock.pass(SHORTEST_WAIT_MS);
    expect(sockets).toHaveLength(before);
    clock.pass(1_000);
    expect(sockets).toHaveLength(before + 1);
  });

  it("gives up a connection that does not come to stand", () => {
    answer(HELLO);
    line().drop();
    clock.pass(8_000);
    expect(line().closedWith).toBe(1000);
    clock.pass(500);
    expect(seen.tries).toEqual([1, 2]);
  });

  it("does so at once on a click, when the network is back and when somebody looks, but disturbs no try that is answered", () => {
    answer(HELLO);
    line().drop();
    line().drop();
    stream.retry();
    expect(seen.tries).toEqual([1, 2]);
    stream.networkChanged();
    stream.seen();
    expect(seen.tries).toEqual([1, 2, 3, 4]);
    expect(sockets[3]?.closedWith).toBe(1000);
    line().onopen?.();
    stream.retry();
    expect(seen.tries).toHaveLength(4);
  });

  it("asks over the new network where the server was asked over the old one and has not answered", () => {
    answer(HELLO);
    line().drop();
    line().onopen?.();
    expect(line().frames[0]).toMatchObject({ type: "attach" });
    stream.networkChanged();
    expect(sockets).toHaveLength(3);
    expect(sockets[1]?.closedWith).toBe(1000);
    answer(AGAIN);
    expect(seen.hellos).toHaveLength(2);
    expect(seen.tries).toEqual([1, 2]);
  });

  it("goes on for the grace in time that it was awake, then tries once more", () => {
    answer({ ...HELLO, resumeSeconds: 60 });
    line().drop();
    line().drop();
    clock.sleep(3_600_000);
    expect(seen.ends).toEqual([]);
    const fail = () => {
      if (line().closedWith === undefined) line().drop();
    };
    for (let i = 0; i < 62 && seen.ends.length === 0; i++) {
      fail();
      clock.pass(1_000);
    }
    fail();
    expect(seen.ends).toEqual([{ kind: "unreached" }]);
    expect(clock.timers).toBe(0);
    clock.pass(60_000);
    expect(seen.ends).toHaveLength(1);
  });

  it("comes back on that last try where the server still has the shell", () => {
    answer({ ...HELLO, resumeSeconds: 10 });
    line().drop();
    clock.pass(10_000);
    answer({ ...AGAIN, resumeSeconds: 10 });
    expect(seen.hellos).toHaveLength(2);
    clock.pass(5_000);
    expect(seen.ends).toEqual([]);
  });

  it.each([
    [{ code: "E_NOT_FOUND" }, { kind: "gone" }],
    [{ code: "E_FORBIDDEN" }, { kind: "refused", error: { code: "E_FORBIDDEN" } }],
  ])("ends by %j", (error, end) => {
    answer(HELLO);
    line().drop();
    refuse(error);
    expect(seen.ends).toMatchObject([end]);
    expect(clock.timers).toBe(0);
  });

  it("takes the error alone for the answer where its closed frame is lost", () => {
    answer(HELLO);
    line().drop();
    line().onopen?.();
    line().say({ type: "error", code: "E_NOT_FOUND", message: "no" });
    line().drop();
    expect(seen.ends).toEqual([{ kind: "gone" }]);
  });

  it.each([{ code: "E_SHUTTING_DOWN", retryable: true }, { code: "E_UNAUTHENTICATED" }])(
    "goes on after %j, and has the login looked at",
    (error) => {
      answer(HELLO);
      line().drop();
      refuse(error);
      expect(seen.ends).toEqual([]);
      expect(seen.unanswereds).toBe(1);
      clock.pass(1_000);
      answer(AGAIN);
      expect(seen.hellos).toHaveLength(2);
    },
  );
});

describe("leaving a shell to the server", () => {
  it("says detach, does nothing more, and comes back when asked", () => {
    answer(HELLO);
    line().print(10);
    seen.parse();
    expect(stream.detach()).toBe(true);
    expect(line().frames.at(-1)).toEqual({ type: "detach" });
    expect(line().closedWith).toBe(1000);
    clock.pass(3_600_000);
    stream.networkChanged();
    stream.seen();
    expect(sockets).toHaveLength(1);
    expect(clock.timers).toBe(0);
    stream.attach();
    answer({ ...AGAIN, offset: 10 });
    expect(line().frames[0]).toMatchObject({ type: "attach", offset: 10 });
    expect(seen.ends).toEqual([]);
  });

  it("cannot be done where the server would end it", () => {
    expect(stream.detach()).toBe(false);
    answer({ ...HELLO, resumeSeconds: 0 });
    expect(stream.detach()).toBe(false);
    expect(line().of("detach")).toEqual([]);
  });

  it("goes while it is lost, too", () => {
    answer(HELLO);
    line().drop();
    expect(stream.detach()).toBe(true);
    clock.pass(60_000);
    expect(seen.tries).toEqual([1]);
  });
});

describe("closing without a connection", () => {
  it.each(["lost", "detached"])("ends a %s shell for the reader at once, for the server when it can be told", (how) => {
    answer(HELLO);
    if (how === "lost") line().drop();
    else stream.detach();
    stream.close();
    expect(seen.ends).toEqual([{ kind: "left" }]);
    answer(AGAIN);
    expect(line().of("close")).toHaveLength(1);
    line().say({ type: "closed", reason: "client_close", exitCode: 0, message: "" });
    line().drop(1000);
    expect(seen.ends).toHaveLength(1);
    expect(seen.hellos).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  it("waits no longer than for any other close", () => {
    answer(HELLO);
    line().drop();
    stream.close();
    answer(AGAIN);
    clock.pass(3_000);
    expect(clock.timers).toBe(0);
  });
});

describe("closing on a connection that is dead, and not known to be", () => {
  it.each([
    ["silent", () => clock.pass(3_000)],
    ["lost", () => line().drop()],
  ])("ends a %s shell for the reader, for the server when it can be told", (_, become) => {
    answer(HELLO);
    stream.close();
    become();
    expect(seen.ends).toEqual([{ kind: "left" }]);
    expect(sockets).toHaveLength(2);
    answer(AGAIN);
    // Lost once more before the word has arrived.
    line().drop();
    clock.pass(1_000);
    answer(AGAIN);
    expect(line().of("close")).toHaveLength(1);
    line().say({ type: "closed", reason: "client_close", exitCode: 0, message: "" });
    line().drop(1000);
    expect(seen.ends).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  it.each([
    ["is left", HELLO, () => stream.abandon()],
    ["is kept by no server", { ...HELLO, resumeSeconds: 0 }, () => stream.close()],
  ])("is the end where the shell %s", (_, hello, close) => {
    answer(hello);
    close();
    clock.pass(3_000);
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { reason: "client_close" } }]);
    expect(sockets).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });
});

describe("coming to a shell that runs already", () => {
  it("takes it over without the token, and keeps the new one", () => {
    begin({ kind: "attach", sessionId: "s1", token: null, offset: null, resumeSeconds: 600 });
    line().onopen?.();
    expect(line().frames[0]).toMatchObject({ resumeToken: null, takeOver: true, offset: null });
    expect(stream.position).toBeNull();
    type("early");
    line().say({ ...AGAIN, resumeToken: "new", offset: 5_000, stdinOffset: 70 });
    expect(text(line().stdin)).toBe("early");
    expect(stream.key).toEqual({ sessionId: "s1", token: "new", resumeSeconds: 600 });
    line().print(10);
    seen.parse();
    line().drop();
    line().onopen?.();
    expect(line().frames[0]).toMatchObject({ resumeToken: "new", takeOver: false, offset: 5_010 });
  });

  it("goes on from a screen that is shown already", () => {
    begin({ kind: "attach", sessionId: "s1", token: "secret", offset: 300, resumeSeconds: 600 });
    answer({ ...AGAIN, offset: 300, stdinOffset: 12 });
    expect(line().frames[0]).toMatchObject({ resumeToken: "secret", offset: 300 });
    expect(seen.gaps).toEqual([]);
    type("x");
    expect(stream.bytesOut).toBe(13);
  });

  it("is told that it is taken over, and does not fight for it", () => {
    answer(HELLO);
    line().say({ type: "closed", reason: "taken_over", exitCode: null, message: "" });
    line().drop(4001);
    clock.pass(60_000);
    expect(seen.ends).toMatchObject([{ kind: "said", closed: { reason: "taken_over" } }]);
    expect(sockets).toHaveLength(1);
  });
});

/** Collects what is handed on, with zeros in the place of gaps. */
class Screen extends Recorder {
  readonly chunks: Uint8Array[] = [];
  at = 0;
  lost: [number, number][] = [];

  override output(bytes: Uint8Array, parsed: () => void): void {
    super.output(bytes, parsed);
    this.chunks.push(bytes);
    this.at += bytes.length;
  }
  override gap(gap: { bytes: number; why: string }, parsed: () => void): void {
    super.gap(gap, parsed);
    this.chunks.push(new Uint8Array(gap.bytes));
    this.lost.push([this.at, this.at + gap.bytes]);
    this.at += gap.bytes;
  }
}

const sum = (bytes: Uint8Array | Buffer) => createHash("sha256").update(bytes).digest("hex");

interface Storm {
  seed: number;
  cuts: number;
  outputBytes: number;
  stdinBytes: number;
  ring: number;
  holds: boolean;
}

/** Output and a paste through connections that break at random, in any state and with anything on the way. */
function storm({ seed, cuts, outputBytes, stdinBytes, ring, holds }: Storm) {
  const random = seeded(seed);
  const below = (n: number) => Math.floor(random() * n);
  const server = new ModelServer({ ring, holds });
  const screen = new Screen();
  const time = new FakeClock();
  const client = new ExecStream({
    url: "ws://host/exec",
    begin: OPEN,
    size: { cols: 80, rows: 24 },
    handlers: screen,
    clock: time,
    random,
    openSocket: server.connect,
  });
  server.current.open();
  server.current.deliverUp();
  server.current.deliverDown();
  server.current.deliverUp();
  client.write(bytesAt(0, stdinBytes));

  let [left, toPrint] = [cuts, outputBytes];
  const done = () =>
    toPrint === 0 && left === 0 && screen.at >= server.printed && server.handedOn >= stdinBytes && client.unsent === 0;
  for (let step = 0; step < 2_000_000 && !done(); step++) {
    const line = server.current;
    switch (below(12)) {
      case 0:
        if (left > 0 && below(4) === 0) {
          left--;
          line.cut();
        }
        break;
      case 1:
      case 2:
        toPrint -= server.print(Math.min(toPrint, below(20_000)));
        break;
      case 3:
      case 4:
        server.read(below(9_000));
        break;
      case 5:
        line.open();
        time.pass(below(300));
        break;
      case 6:
      case 7:
        line.deliverUp();
        break;
      case 8:
      case 9:
        screen.parse(Math.min(screen.unparsed.length, below(4)));
        break;
      default:
        line.deliverDown();
    }
  }
  return { server, screen, client, done: done() };
}

describe("random cuts", () => {
  it.each([1, 2, 3, 4, 5, 6])("lose and double nothing, either way (seed %i)", (seed) => {
    const { server, screen, done } = storm({
      seed,
      cuts: 200,
      outputBytes: 1_500_000,
      stdinBytes: 300_000,
      ring: 262_144,
      holds: true,
    });
    expect(done).toBe(true);
    expect(screen.ends).toEqual([]);
    expect(screen.lost).toEqual([]);
    expect(server.attaches).toBeGreaterThan(20);
    expect(sum(Buffer.concat(screen.chunks))).toBe(sum(bytesAt(0, 1_500_000)));
    expect(sum(Uint8Array.from(server.stdin))).toBe(sum(bytesAt(0, 300_000)));
  });

  it.each([1, 2, 3])("leave out only what is announced, where the program does not wait (seed %i)", (seed) => {
    const { server, screen, done } = storm({
      seed,
      cuts: 150,
      outputBytes: 3_000_000,
      stdinBytes: 10_000,
      ring: 131_072,
      holds: false,
    });
    expect(done).toBe(true);
    expect(screen.lost.length).toBeGreaterThan(0);
    const expected = bytesAt(0, server.printed);
    for (const [from, to] of screen.lost) expected.fill(0, from, to);
    expect(sum(Buffer.concat(screen.chunks))).toBe(sum(expected));
    expect(sum(Uint8Array.from(server.stdin))).toBe(sum(bytesAt(0, 10_000)));
  });

  it("two pages at one shell: the newest has it, the other is told", () => {
    const server = new ModelServer({ ring: 262_144, holds: true });
    const open = (how: Beginning) => {
      const screen = new Screen();
      const client = new ExecStream({
        url: "ws://host/exec",
        begin: how,
        size: { cols: 80, rows: 24 },
        handlers: screen,
        clock: new FakeClock(),
        openSocket: server.connect,
      });
      const socket = server.current;
      const settle = () => {
        socket.open();
        while (socket.up.length + socket.down.length > 0) {
          socket.deliverUp();
          socket.deliverDown();
          screen.parse();
        }
      };
      settle();
      return { screen, client, settle };
    };
    const first = open(OPEN);
    server.print(5_000);
    first.settle();
    const second = open({ kind: "attach", sessionId: "s1", token: null, offset: null, resumeSeconds: 600 });
    first.client.write(new Uint8Array([1]));
    first.settle();
    expect(first.screen.ends).toMatchObject([{ kind: "said", closed: { reason: "taken_over" } }]);
    expect(server.stdin).toEqual([]);
    second.client.write(new Uint8Array([2]));
    second.settle();
    expect(server.stdin).toEqual([2]);
    expect(second.screen.at).toBe(5_000);
    const third = open({ kind: "attach", sessionId: "s1", token: "token-0", offset: 5_000, resumeSeconds: 600 });
    expect(third.screen.ends).toEqual([{ kind: "gone" }]);
  });
});
