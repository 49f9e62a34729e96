import { type ClientFrame, parseFrame, type ServerFrame, SUBPROTOCOL } from "./frames.ts";
import { type Clock, Liveness, RESUMABLE_SILENCE_MS } from "./liveness.ts";

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

/** How long a server that has said its last word may take to close. */
const SERVER_CLOSE_MS = 5_000;

export type LinkLoss = "closed" | "silent";

export interface LinkEvents {
  /** The server has taken the connection and waits for the first frame. */
  opened(): void;
  frame(frame: ServerFrame): void;
  bytes(bytes: Uint8Array): void;
  doubt(doubtful: boolean): void;
  /** Nothing more comes of it. Not called after `drop`. */
  lost(why: LinkLoss): void;
}

/** One WebSocket to the server: its frames, and whether it still lives. What is lost with it, it does not know. */
export class Link {
  readonly #socket: ExecSocket;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  readonly #liveness: Liveness;
  #stopOpening: (() => void) | null = null;
  #open = false;
  #gone = false;

  /** `openWithin`: how long the connection may take to stand; 0: as long as the browser waits. */
  constructor(url: string, openSocket: OpenSocket, clock: Clock, openWithin: number, events: LinkEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#liveness = new Liveness(clock, {
      ping: (id) => this.send({ type: "ping", id }),
      doubt: (doubtful) => events.doubt(doubtful),
      lost: () => this.#lose("silent"),
    });
    if (openWithin > 0) this.#stopOpening = clock.after(openWithin, () => this.#lose("silent"));
    this.#socket = openSocket(url, SUBPROTOCOL);
    this.#listen();
  }

  /** Whether frames can be sent. */
  get open(): boolean {
    return this.#open && !this.#gone;
  }

  /** From now on a loss costs nothing but a new connection: it is noticed earlier. */
  expendable(): void {
    this.#liveness.limit = RESUMABLE_SILENCE_MS;
  }

  send(frame: ClientFrame): void {
    if (this.open) this.#socket.send(JSON.stringify(frame));
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.open) this.#socket.send(bytes);
  }

  /** Finds out whether the server still hears us. */
  probe(): void {
    this.#liveness.probe();
  }

  demand(limit: number): void {
    this.#liveness.demand(limit);
  }

  demandUnlessFresh(limit: number): void {
    this.#liveness.demandUnlessFresh(limit);
  }

  /** Ends it, without a word to anybody. */
  drop(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#liveness.stop();
    this.#stopOpening?.();
    this.#socket.close(1000);
  }

  /** Nothing more is said on it, and the server closes it: that the browser answers tells it that its last word has arrived. */
  leaveToServer(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#liveness.stop();
    this.#stopOpening?.();
    const stop = this.#clock.after(SERVER_CLOSE_MS, () => this.#socket.close(1000));
    this.#socket.onclose = stop;
  }

  #listen(): void {
    const socket = this.#socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = () => this.#lose("closed");
    // The close event follows and decides.
    socket.onerror = null;
  }

  #opened(): void {
    if (this.#gone) return;
    this.#stopOpening?.();
    this.#open = true;
    this.#liveness.start();
    this.#events.opened();
  }

  #received(data: unknown): void {
    if (this.#gone) return;
    this.#liveness.heard();
    if (data instanceof ArrayBuffer) this.#events.bytes(new Uint8Array(data));
    else if (typeof data === "string") this.#text(data);
  }

  #text(data: string): void {
    const frame = parseFrame(data);
    if (frame?.type === "pong") this.#liveness.answered(frame.id);
    if (frame) this.#events.frame(frame);
  }

  #lose(why: LinkLoss): void {
    if (this.#gone) return;
    this.drop();
    this.#events.lost(why);
  }
}
