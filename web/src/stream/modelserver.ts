import type { ExecSocket } from "./link.ts";

/** A sequence of numbers that looks random and is the same each time. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The byte at an offset: neighbours differ, and so do bytes that lie a power of two apart. */
export function byteAt(offset: number): number {
  return (Math.imul(offset, 0x9e3779b1) >>> 19) & 0xff;
}

export function bytesAt(from: number, to: number): Uint8Array {
  return Uint8Array.from({ length: to - from }, (_, i) => byteAt(from + i));
}

const WINDOW = 131_072;
const STDIN_WINDOW = 65_536;
/** How many messages the network takes before the server has to wait for it. */
const ON_THE_WAY = 2;

type Message = string | Uint8Array;

/** One connection to the model server: what was sent and has not arrived lies in two queues, until it arrives or is lost. */
export class ModelSocket implements ExecSocket {
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly up: Message[] = [];
  readonly down: Message[] = [];
  opened = false;
  over = false;
  /** Of the server's bookkeeping: what it has sent here and what was acknowledged. */
  sent = 0;
  acknowledged = 0;

  constructor(private readonly server: ModelServer) {}

  send(data: string | Uint8Array): void {
    if (!this.over) this.up.push(typeof data === "string" ? data : data.slice());
  }

  close(): void {
    this.over = true;
  }

  open(): void {
    if (this.over || this.opened) return;
    this.opened = true;
    this.onopen?.();
  }

  deliverUp(): void {
    const message = this.up.shift();
    if (message !== undefined) this.server.receive(this, message);
  }

  deliverDown(): void {
    const message = this.down.shift();
    if (message === undefined || this.over) return;
    this.server.pump();
    this.onmessage?.({ data: typeof message === "string" ? message : message.slice().buffer });
  }

  /** The network loses it, and with it all that is on the way. */
  cut(): void {
    if (this.over) return;
    this.over = true;
    this.up.length = 0;
    this.down.length = 0;
    this.onclose?.({ code: 1006, reason: "" });
  }
}

interface ModelOptions {
  /** How many bytes of output the server keeps. */
  ring: number;
  /** Whether the program waits for the ring to have room, as it does for a while behind a lost page. */
  holds: boolean;
}

/** The server's side of resume as api/terminal.md has it, with one shell whose program prints `byteAt`. It throws where a client breaks the rules. */
export class ModelServer {
  readonly sockets: ModelSocket[] = [];
  readonly stdin: number[] = [];
  handedOn = 0;
  printed = 0;
  token = "";
  gone = false;
  closed = false;
  attaches = 0;
  readonly #options: ModelOptions;
  #attached: ModelSocket | null = null;
  #acknowledged = 0;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  readonly connect = (): ModelSocket => {
    const socket = new ModelSocket(this);
    this.sockets.push(socket);
    return socket;
  };

  get current(): ModelSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nobody has connected");
    return socket;
  }

  get oldest(): number {
    return Math.max(0, this.printed - this.#options.ring);
  }

  /** The program prints, as far as it may. Returns how much that was. */
  print(size: number): number {
    const room = this.#options.holds ? this.#acknowledged + this.#options.ring - this.printed : size;
    const now = Math.max(0, Math.min(size, room));
    this.printed += now;
    this.pump();
    return now;
  }

  /** The program reads. */
  read(size: number): void {
    const next = Math.min(this.stdin.length, this.handedOn + size);
    if (next === this.handedOn) return;
    this.handedOn = next;
    this.#say(this.#attached, { type: "stdin_ack", offset: next });
  }

  receive(socket: ModelSocket, message: Message): void {
    if (typeof message === "string") this.#text(socket, JSON.parse(message));
    else if (socket === this.#attached) this.#bytes(message);
  }

  #text(socket: ModelSocket, frame: Record<string, unknown>): void {
    if (frame.type === "open") {
      this.token = "token-0";
      this.#hello(socket, 0, this.token);
    } else if (frame.type === "attach") this.#attach(socket, frame);
    else if (socket !== this.#attached) return;
    else if (frame.type === "ack") this.#ack(socket, Number(frame.offset));
    else if (frame.type === "ping") this.#say(socket, { type: "pong", id: frame.id });
    else if (frame.type === "detach") this.#attached = null;
    else if (frame.type === "close") {
      this.closed = true;
      this.#say(socket, { type: "closed", reason: "client_close", exitCode: 0, message: "" });
    }
  }

  #attach(socket: ModelSocket, { resumeToken, takeOver, offset }: Record<string, unknown>): void {
    this.attaches++;
    const allowed = resumeToken === null ? takeOver === true : resumeToken === this.token;
    if (this.gone || !allowed) {
      this.#say(socket, { type: "error", code: "E_NOT_FOUND", message: "No such shell." });
      this.#say(socket, { type: "closed", reason: "refused", exitCode: null, message: "No such shell." });
      return;
    }
    const old = this.#attached;
    this.#say(old, { type: "closed", reason: "taken_over", exitCode: null, message: "" });
    const token = takeOver ? `token-${this.attaches}` : null;
    this.token = token ?? this.token;
    if (offset === null) {
      this.#hello(socket, Math.max(this.oldest, this.printed - WINDOW), token);
      return;
    }
    const from = Number(offset);
    if (from > this.printed) throw new Error(`asks for ${from} of ${this.printed}`);
    this.#hello(socket, from, token);
  }

  #hello(socket: ModelSocket, offset: number, resumeToken: string | null): void {
    this.#attached = socket;
    this.#acknowledged = offset;
    socket.sent = offset;
    socket.acknowledged = offset;
    this.#say(socket, {
      type: "hello",
      sessionId: "s1",
      resumed: this.attaches > 0,
      resumeToken,
      resumeSeconds: 600,
      offset,
      stdinOffset: this.stdin.length,
      window: WINDOW,
      stdinWindow: STDIN_WINDOW,
    });
    // The word about it may have been lost, and another comes only when there is more to hand on.
    if (this.handedOn > 0) this.#say(socket, { type: "stdin_ack", offset: this.handedOn });
    if (offset < this.oldest) {
      this.#say(socket, { type: "gap", from: offset, to: this.oldest, why: "buffer" });
      socket.sent = this.oldest;
      socket.acknowledged = this.oldest;
    }
    this.pump();
  }

  #ack(socket: ModelSocket, offset: number): void {
    if (offset > socket.sent) throw new Error(`acknowledges ${offset}, sent were ${socket.sent}`);
    if (offset > socket.acknowledged) socket.acknowledged = offset;
    this.#acknowledged = Math.max(this.#acknowledged, offset);
    this.pump();
  }

  #bytes(bytes: Uint8Array): void {
    this.stdin.push(...bytes);
    if (this.stdin.length - this.handedOn > STDIN_WINDOW) throw new Error("more stdin than the window");
  }

  /** Sends what the window and the network have room for. */
  pump(): void {
    const socket = this.#attached;
    if (!socket || socket.over) return;
    while (
      socket.down.length < ON_THE_WAY &&
      socket.sent < this.printed &&
      socket.sent - socket.acknowledged < WINDOW
    ) {
      const to = Math.min(this.printed, socket.acknowledged + WINDOW, socket.sent + 32_768);
      socket.down.push(bytesAt(socket.sent, to));
      socket.sent = to;
    }
  }

  #say(socket: ModelSocket | null, frame: Record<string, unknown>): void {
    if (socket && !socket.over) socket.down.push(JSON.stringify(frame));
  }
}
