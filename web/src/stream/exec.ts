import {
  type ClientFrame,
  type ClosedFrame,
  type ErrorFrame,
  type HelloFrame,
  type OpenFrame,
  parseFrame,
  type ServerFrame,
  SUBPROTOCOL,
} from "./frames.ts";
import { type Clock, Liveness, systemClock } from "./liveness.ts";
import { OutputMeter } from "./output.ts";
import { StdinQueue } from "./stdin.ts";

/** The part of a WebSocket that is used here. */
export interface ExecSocket {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export type OpenSocket = (url: string, protocol: string) => ExecSocket;

/** How a shell ended. `lost`: no word from the server; `said`: its last frame. */
export type ExecEnd =
  | { kind: "said"; closed: ClosedFrame; error: ErrorFrame | null }
  | { kind: "refused"; error: ErrorFrame }
  | { kind: "lost"; hadShell: boolean; why: "closed" | "silent" };

export interface ExecHandlers {
  hello(frame: HelloFrame): void;
  /** Output, to be parsed in order; `parsed` is called when that is done. */
  output(bytes: Uint8Array, parsed: () => void): void;
  /** The server left bytes out. In the same order as the output. */
  gap(gap: { bytes: number; why: string }, parsed: () => void): void;
  idleWarning(secondsRemaining: number): void;
  /** The server is slow to answer, or answers again. */
  doubt(doubtful: boolean): void;
  /** Something was typed or printed: an idle warning is over. */
  activity(): void;
  ended(end: ExecEnd): void;
}

export interface ExecOptions {
  url: string;
  open: Omit<OpenFrame, "type">;
  handlers: ExecHandlers;
  openSocket: OpenSocket;
  clock?: Clock;
}

type Phase = "connecting" | "open" | "ended";

const MAX_SIZE = 65_535;
/** After "close" the server has this long for its last frame. */
const LAST_WORD_MS = 3_000;

/** One shell over one WebSocket, speaking `v2.exec.periscope`. A lost connection is the end of it. */
export class ExecStream {
  readonly #options: ExecOptions;
  readonly #clock: Clock;
  readonly #socket: ExecSocket;
  readonly #stdin: StdinQueue;
  readonly #output: OutputMeter;
  readonly #liveness: Liveness;
  #phase: Phase = "connecting";
  #socketOpen = false;
  #size: { cols: number; rows: number };
  #sentSize: { cols: number; rows: number } | null = null;
  #error: ErrorFrame | null = null;
  #stopWaiting: (() => void) | null = null;

  constructor(options: ExecOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#size = clampSize(options.open.cols, options.open.rows);
    this.#stdin = new StdinQueue((bytes) => this.#socket.send(bytes));
    this.#output = new OutputMeter((offset) => this.#send({ type: "ack", offset }));
    this.#liveness = new Liveness(this.#clock, {
      ping: (id) => this.#send({ type: "ping", id }),
      doubt: (doubtful) => options.handlers.doubt(doubtful),
      lost: () => this.#lose("silent"),
    });
    this.#socket = options.openSocket(options.url, SUBPROTOCOL);
    this.#listen();
  }

  get bytesIn(): number {
    return this.#output.bytes;
  }

  get bytesOut(): number {
    return this.#stdin.sent;
  }

  get unsent(): number {
    return this.#stdin.unsent;
  }

  write(bytes: Uint8Array): void {
    if (this.#phase === "ended") return;
    this.#stdin.push(bytes);
    if (this.#phase === "open") this.#options.handlers.activity();
  }

  /** Drops typed and pasted bytes that were not sent yet. */
  discardUnsent(): number {
    return this.#stdin.discard();
  }

  resize(cols: number, rows: number): void {
    this.#size = clampSize(cols, rows);
    if (this.#phase === "open") this.#sendSize();
  }

  /** Answers an idle warning: as something typed, but the shell sees nothing of it. */
  stay(): void {
    if (this.#phase !== "open") return;
    this.#send({ type: "stay" });
    this.#options.handlers.activity();
  }

  /** The network may have changed: find out whether the server still hears us. */
  probe(): void {
    this.#liveness.probe();
  }

  /** Ends the shell, and waits a moment for the server's last word on it. */
  close(): void {
    if (this.#phase === "ended" || this.#stopWaiting) return;
    if (!this.#socketOpen) {
      this.#finish({ kind: "said", closed: closedHere, error: null });
      return;
    }
    this.#send({ type: "close" });
    this.#stopWaiting = this.#clock.every(LAST_WORD_MS, () =>
      this.#finish({ kind: "said", closed: closedHere, error: null }),
    );
  }

  #listen(): void {
    const socket = this.#socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = () => this.#closed();
    // The close event follows and decides.
    socket.onerror = null;
  }

  #opened(): void {
    if (this.#phase === "ended") return;
    this.#socketOpen = true;
    this.#sentSize = this.#size;
    this.#send({ ...this.#options.open, ...this.#size, type: "open" });
    this.#liveness.start();
  }

  #received(data: unknown): void {
    if (this.#phase === "ended") return;
    this.#liveness.heard();
    if (data instanceof ArrayBuffer) this.#binary(new Uint8Array(data));
    else if (typeof data === "string") this.#text(parseFrame(data));
  }

  #binary(bytes: Uint8Array): void {
    if (this.#phase !== "open") return;
    this.#options.handlers.activity();
    this.#options.handlers.output(bytes, this.#output.take(bytes.length));
  }

  #text(frame: ServerFrame | null): void {
    switch (frame?.type) {
      case "hello":
        this.#hello(frame);
        break;
      case "stdin_ack":
        this.#stdin.acknowledge(frame.offset);
        break;
      case "gap":
        this.#gap(frame);
        break;
      case "idle_warn":
        this.#options.handlers.idleWarning(frame.secondsRemaining);
        break;
      case "error":
        this.#error = frame;
        break;
      case "closed":
        this.#finish({ kind: "said", closed: frame, error: this.#errorOf(frame) });
        break;
    }
  }

  /** The error that this end is about. One that came earlier, as about a size that was not taken, is not. */
  #errorOf(closed: ClosedFrame): ErrorFrame | null {
    return this.#phase === "connecting" || this.#error?.message === closed.message ? this.#error : null;
  }

  #hello(frame: HelloFrame): void {
    if (this.#phase !== "connecting") return;
    this.#phase = "open";
    this.#output.start(frame.offset);
    this.#options.handlers.hello(frame);
    this.#sendSize();
    this.#stdin.start(frame.stdinOffset, frame.stdinWindow);
  }

  #gap(frame: { from: number; to: number; why: string }): void {
    const parsed = this.#phase === "open" ? this.#output.skip(frame.to) : null;
    if (parsed) this.#options.handlers.gap({ bytes: Math.max(0, frame.to - frame.from), why: frame.why }, parsed);
  }

  #sendSize(): void {
    const { cols, rows } = this.#size;
    if (this.#sentSize?.cols === cols && this.#sentSize.rows === rows) return;
    this.#sentSize = this.#size;
    this.#send({ type: "resize", cols, rows });
  }

  #send(frame: ClientFrame): void {
    if (this.#socketOpen && this.#phase !== "ended") this.#socket.send(JSON.stringify(frame));
  }

  #closed(): void {
    this.#socketOpen = false;
    if (this.#stopWaiting) this.#finish({ kind: "said", closed: closedHere, error: this.#errorOf(closedHere) });
    else if (this.#error && this.#phase === "connecting") this.#finish({ kind: "refused", error: this.#error });
    else this.#lose("closed");
  }

  #lose(why: "closed" | "silent"): void {
    this.#finish({ kind: "lost", hadShell: this.#phase === "open", why });
  }

  #finish(end: ExecEnd): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#liveness.stop();
    this.#stopWaiting?.();
    this.#stdin.discard();
    this.#options.handlers.ended(end);
    this.#socket.close(1000);
  }
}

/** What is known of an end that the server had no time to confirm. */
const closedHere: ClosedFrame = { type: "closed", reason: "client_close", exitCode: null, message: "" };

function clampSize(cols: number, rows: number): { cols: number; rows: number } {
  const clamp = (n: number) => Math.min(MAX_SIZE, Math.max(1, Math.trunc(n) || 1));
  return { cols: clamp(cols), rows: clamp(rows) };
}
