import { Comeback } from "./comeback.ts";
import type { ClosedFrame, ErrorFrame, HelloFrame, OpenFrame, ServerFrame } from "./frames.ts";
import { Link, type LinkLoss, type OpenSocket } from "./link.ts";
import { type Clock, systemClock } from "./liveness.ts";
import { type Missing, OutputMeter } from "./output.ts";
import { StdinQueue } from "./stdin.ts";

/** How a shell ended, as far as this page can know. */
export type ExecEnd =
  /** The server's last frame. */
  | { kind: "said"; closed: ClosedFrame; error: ErrorFrame | null }
  | { kind: "refused"; error: ErrorFrame }
  /** No word from the server, and no way back. */
  | { kind: "lost"; hadShell: boolean; why: LinkLoss }
  /** Asked for the shell again, the server does not have it any more. */
  | { kind: "gone" }
  /** The grace is over, and the server could not be asked. */
  | { kind: "unreached" }
  /** Closed here while there was no connection: the server is told as soon as it can be reached. */
  | { kind: "left" };

export interface ExecHandlers {
  /** The shell is there: a new one, or (`resumed`) the same as before. */
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
  /** The connection is lost and the shell waits: this is the n-th try to get back to it. */
  reconnecting(tries: number): void;
  /** A try got no answer that a page can read. The login may have ended: browsers do not tell. */
  unanswered(): void;
  /** Somebody else has typed in the shell: what was kept of one's own typing is not sent. */
  typingDropped(): void;
  /** The server has taken more of what was written: there may be room for more. */
  taken?(): void;
  ended(end: ExecEnd): void;
}

/** A new shell, or one that runs already. */
export type Beginning =
  | ({ kind: "open" } & Pick<OpenFrame, "container" | "command" | "tty" | "reason" | "file">)
  | {
      kind: "attach";
      sessionId: string;
      /** Null: the shell is taken over from wherever it is. */
      token: string | null;
      /** Up to where the terminal shows its output already; null: it shows nothing. */
      offset: number | null;
      /** How long to try. */
      resumeSeconds: number;
    };

export interface Size {
  cols: number;
  rows: number;
}

export interface ExecOptions {
  url: string;
  begin: Beginning;
  /** Null where there is no terminal. */
  size: Size | null;
  handlers: ExecHandlers;
  openSocket: OpenSocket;
  clock?: Clock;
  random?: () => number;
}

type Phase = "connecting" | "open" | "lost" | "detached" | "ended";

/** What opens the way back to a shell. */
interface Key {
  sessionId: string;
  token: string | null;
  resumeSeconds: number;
}

const MAX_SIZE = 65_535;
/** After "close" the server has this long for its last frame. */
const LAST_WORD_MS = 3_000;
/** How long a connection may take to stand when one comes back. */
const CONNECT_MS = 8_000;
/** How long a server may take to answer a page that is looked at again: the network may have changed meanwhile. */
const AWAKE_ANSWER_MS = 3_000;
const TYPED_ANSWER_MS = 8_000;
/** Typed and pasted while there is no connection, at most: what is beyond is refused. */
export const AWAY_BYTES = 65_536;

/**
 * One shell, speaking `v2.exec.periscope`. Its connections may come and go: while the server keeps the shell, every
 * byte of output is handed on once, and every byte typed arrives once.
 */
export class ExecStream {
  readonly #options: ExecOptions;
  readonly #clock: Clock;
  readonly #stdin: StdinQueue;
  readonly #output: OutputMeter;
  readonly #comeback: Comeback;
  #handlers: ExecHandlers;
  #phase: Phase = "connecting";
  #link: Link | null = null;
  #key: Key | null = null;
  /** The output's offsets, and those of stdin, are known. */
  #placed: boolean;
  #stdinPlaced = false;
  #size: Size | null;
  #sentSize: Size | null = null;
  #error: ErrorFrame | null = null;
  #typedAway = 0;
  #closing = false;
  /** Whoever closes it is not coming back to tell the server. */
  #abandoned = false;
  #stopWaiting: (() => void) | null = null;

  constructor(options: ExecOptions) {
    this.#options = options;
    this.#handlers = options.handlers;
    this.#clock = options.clock ?? systemClock;
    this.#size = options.size && clampSize(options.size);
    this.#stdin = new StdinQueue(
      (bytes) => this.#link?.sendBytes(bytes),
      () => this.#link?.send({ type: "eof" }),
    );
    this.#output = new OutputMeter((offset) => this.#link?.send({ type: "ack", offset }));
    this.#comeback = new Comeback(this.#clock, options.random ?? Math.random, {
      attempt: (tries) => this.#attempt(tries),
      giveUp: () => this.#finish({ kind: "unreached" }),
    });
    const { begin } = options;
    this.#placed = begin.kind === "attach" && begin.offset !== null;
    if (begin.kind === "open") this.#connect();
    else this.#comeTo(begin);
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

  /** How much of what was written the server has handed on. */
  get bytesTaken(): number {
    return this.#stdin.acknowledged;
  }

  /** Everything before it was parsed by the terminal; null while that is not known. */
  get position(): number | null {
    return this.#placed ? this.#output.parsed : null;
  }

  /** The key to the shell, for whoever comes back to it after this page; null where there is no way back. */
  get key(): Readonly<Key> | null {
    return this.#key;
  }

  /** Returns false where the bytes were refused, because too much waits for a connection already. */
  write(bytes: Uint8Array): boolean {
    if (this.#phase === "ended") return false;
    if (this.#phase !== "open") {
      if (this.#typedAway + bytes.length > AWAY_BYTES) return false;
      this.#typedAway += bytes.length;
    }
    this.#stdin.push(bytes);
    if (this.#phase !== "open") return true;
    if (this.#key) this.#link?.demandUnlessFresh(TYPED_ANSWER_MS);
    this.#handlers.activity();
    return true;
  }

  /** Nothing more is written. */
  endInput(): void {
    this.#stdin.end();
  }

  /** Drops typed and pasted bytes that were not sent yet. */
  discardUnsent(): number {
    this.#typedAway = 0;
    return this.#stdin.discard();
  }

  resize(cols: number, rows: number): void {
    this.#size = clampSize({ cols, rows });
    if (this.#phase === "open") this.#sendSize();
  }

  /** Answers an idle warning: as something typed, but the shell sees nothing of it. */
  stay(): void {
    if (this.#phase !== "open") return;
    this.#link?.send({ type: "stay" });
    this.#handlers.activity();
  }

  /** The network has changed. A connection over the old one is mostly dead without knowing it, also a try to come back. */
  networkChanged(): void {
    if (this.#phase === "open" && this.#key && !this.#closing) {
      this.#comeback.useful();
      this.#comeBack();
    } else if (this.#phase === "lost") this.#comeback.now();
    else this.#link?.probe();
  }

  /** The computer says that it has no network. A server that is reached all the same, one on this computer say, answers. */
  networkGone(): void {
    if (this.#phase !== "open" || this.#closing) return;
    if (this.#key) this.#link?.demand(AWAKE_ANSWER_MS);
    else this.#link?.probe();
  }

  /** Somebody looks at the page again. */
  seen(): void {
    if (this.#phase === "lost") this.retry();
    else if (this.#key) this.#link?.demand(AWAKE_ANSWER_MS);
    else this.#link?.probe();
  }

  /** Tries at once to come back, unless the server is being asked already. */
  retry(): void {
    if (!this.#link?.open) this.#comeback.now();
  }

  /** Leaves the shell to the server, which keeps it for a while. Returns false where it would not. */
  detach(): boolean {
    if (!this.#key || this.#closing || (this.#phase !== "open" && this.#phase !== "lost")) return false;
    this.#link?.send({ type: "detach" });
    this.#unlink();
    this.#comeback.stop();
    this.#phase = "detached";
    return true;
  }

  /** Comes back to a shell that was left. */
  attach(): void {
    if (this.#phase === "detached") this.#comeBack();
  }

  /** Ends the shell, and waits a moment for the server's last word on it. */
  close(): void {
    if (this.#phase === "ended" || this.#closing) return;
    this.#closing = true;
    parting.add(this);
    if (this.#phase === "lost" || this.#phase === "detached") this.#closeLater();
    else if (this.#link?.open) this.#sendClose();
    else this.#finish(endedHere);
  }

  /** As `close`, but where there is no connection the server is not told: it ends the shell by itself. */
  abandon(): void {
    this.#abandoned = true;
    if (this.#phase === "lost" || this.#phase === "detached") this.#finish(endedHere);
    else this.close();
  }

  #comeTo({ sessionId, token, offset, resumeSeconds }: Extract<Beginning, { kind: "attach" }>): void {
    this.#key = { sessionId, token, resumeSeconds };
    if (offset !== null) this.#output.start(offset);
    this.#comeBack();
  }

  #comeBack(): void {
    this.#unlink();
    this.#phase = "lost";
    this.#comeback.start(this.#key?.resumeSeconds ?? 0);
  }

  #attempt(tries: number): void {
    this.#handlers.reconnecting(tries);
    this.#connect();
  }

  #connect(): void {
    this.#link?.drop();
    this.#error = null;
    const { url, openSocket } = this.#options;
    this.#link = new Link(url, openSocket, this.#clock, this.#key ? CONNECT_MS : 0, {
      opened: () => this.#introduce(),
      frame: (frame) => this.#received(frame),
      bytes: (bytes) => this.#printed(bytes),
      doubt: (doubtful) => this.#handlers.doubt(doubtful),
      lost: (why) => this.#lost(why),
    });
  }

  #unlink(): void {
    this.#link?.drop();
    this.#link = null;
    this.#output.pause();
    this.#stdin.pause();
  }

  #introduce(): void {
    this.#sentSize = this.#size;
    const { begin } = this.#options;
    if (this.#key) {
      const { sessionId, token } = this.#key;
      const offset = this.position;
      this.#link?.send({
        type: "attach",
        sessionId,
        resumeToken: token,
        takeOver: token === null,
        offset,
        ...this.#size,
      });
    } else if (begin.kind === "open") {
      const { kind: _, ...wanted } = begin;
      this.#link?.send({ type: "open", ...wanted, ...this.#size });
    }
  }

  #printed(chunk: Uint8Array): void {
    if (this.#phase !== "open") return;
    this.#comeback.useful();
    const fresh = this.#output.take(chunk);
    if (!fresh) return;
    this.#handlers.activity();
    this.#handlers.output(fresh.bytes, fresh.parsed);
  }

  #received(frame: ServerFrame): void {
    switch (frame.type) {
      case "hello":
        if (this.#phase === "connecting" || this.#phase === "lost") this.#hello(frame);
        break;
      case "stdin_ack":
        this.#comeback.useful();
        this.#stdin.acknowledge(frame.offset);
        this.#handlers.taken?.();
        break;
      case "gap":
        if (this.#phase === "open") this.#missing(this.#output.skip(frame.to), frame.why);
        break;
      case "idle_warn":
        this.#handlers.idleWarning(frame.secondsRemaining);
        break;
      case "error":
        this.#error = frame;
        break;
      case "closed":
        this.#saidClosed(frame);
        break;
    }
  }

  #hello(frame: HelloFrame): void {
    this.#phase = "open";
    this.#error = null;
    this.#typedAway = 0;
    this.#comeback.stop();
    this.#key = this.#keyAfter(frame);
    if (this.#key) this.#link?.expendable();
    const missing = this.#placeOutput(frame);
    this.#handlers.hello(frame);
    this.#missing(missing, "buffer");
    this.#sendSize();
    if (this.#closing) this.#sendClose();
    else this.#placeStdin(frame);
    // A client that is lost before its first word after hello has never known of its shell, and the server ends it.
    if (this.#key) this.#link?.probe();
  }

  #keyAfter(frame: HelloFrame): Key | null {
    const token = frame.resumeToken ?? this.#key?.token ?? null;
    const { sessionId, resumeSeconds } = frame;
    return token !== null && resumeSeconds > 0 ? { sessionId, token, resumeSeconds } : null;
  }

  #placeOutput(frame: HelloFrame): Missing | null {
    if (this.#placed) return this.#output.resume(frame.offset);
    this.#placed = true;
    this.#output.start(frame.offset);
    return null;
  }

  #placeStdin({ stdinOffset, stdinWindow }: HelloFrame): void {
    if (!this.#stdinPlaced) this.#stdin.start(stdinOffset, stdinWindow);
    else if (!this.#stdin.resume(stdinOffset, stdinWindow)) this.#handlers.typingDropped();
    this.#stdinPlaced = true;
  }

  #missing(missing: Missing | null, why: string): void {
    if (missing) this.#handlers.gap({ bytes: missing.bytes, why }, missing.parsed);
  }

  #saidClosed(closed: ClosedFrame): void {
    const error = this.#errorOf(closed);
    if (this.#phase === "lost" && error) this.#refused(error);
    else {
      this.#link?.leaveToServer();
      this.#finish({ kind: "said", closed, error });
    }
  }

  /** The error that this end is about. One that came earlier, as about a size that was not taken, is not. */
  #errorOf(closed: ClosedFrame): ErrorFrame | null {
    return this.#phase !== "open" || this.#error?.message === closed.message ? this.#error : null;
  }

  /** The server did not let us back in. */
  #refused(error: ErrorFrame): void {
    if (error.code === "E_NOT_FOUND") this.#finish({ kind: "gone" });
    else if (error.retryable || error.code === "E_UNAUTHENTICATED") this.#failed();
    else this.#finish({ kind: "refused", error });
  }

  #failed(): void {
    this.#unlink();
    this.#handlers.unanswered();
    this.#comeback.failed();
  }

  #sendSize(): void {
    if (!this.#size) return;
    const { cols, rows } = this.#size;
    if (this.#sentSize?.cols === cols && this.#sentSize.rows === rows) return;
    this.#sentSize = this.#size;
    this.#link?.send({ type: "resize", cols, rows });
  }

  #sendClose(): void {
    if (this.#stopWaiting) return;
    this.#link?.send({ type: "close" });
    this.#stopWaiting = this.#clock.after(LAST_WORD_MS, () => {
      if (this.#handlers === deaf) this.#finish(endedHere);
      else this.#unheard();
    });
  }

  /** The server may not have heard that the shell is to end: the connection may have been dead for a while. */
  #unheard(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    if (this.#key && !this.#abandoned) this.#closeLater();
    else this.#finish(endedHere);
  }

  /** The tab is done with the shell; the shell must still be ended. */
  #closeLater(): void {
    this.#handlers.ended({ kind: "left" });
    this.#handlers = deaf;
    this.#stdin.discard();
    if (this.#phase !== "lost") this.#comeBack();
  }

  #lost(why: LinkLoss): void {
    this.#link = null;
    const hadShell = this.#phase === "open";
    if (this.#stopWaiting) this.#unheard();
    else if (this.#phase === "lost") {
      if (this.#error) this.#refused(this.#error);
      else this.#failed();
    } else if (hadShell && this.#key) this.#comeBack();
    else if (this.#error && !hadShell) this.#finish({ kind: "refused", error: this.#error });
    else this.#finish({ kind: "lost", hadShell, why });
  }

  #finish(end: ExecEnd): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    parting.delete(this);
    this.#comeback.stop();
    this.#stopWaiting?.();
    this.#stdin.discard();
    this.#handlers.ended(end);
    this.#unlink();
  }
}

/** Those that are to end, and wait for the server to say so. */
const parting = new Set<ExecStream>();

/** Leaves those ends to the server, as on signing out: they are none of the next person's. */
export function abandonParting(): void {
  for (const stream of parting) stream.abandon();
}

/** What is known of an end that the server had no time to confirm. */
const endedHere: ExecEnd = {
  kind: "said",
  closed: { type: "closed", reason: "client_close", exitCode: null, message: "" },
  error: null,
};

const nothing = () => {};
const deaf: ExecHandlers = {
  hello: nothing,
  output: nothing,
  gap: nothing,
  idleWarning: nothing,
  doubt: nothing,
  activity: nothing,
  reconnecting: nothing,
  unanswered: nothing,
  typingDropped: nothing,
  ended: nothing,
};

function clampSize({ cols, rows }: Size): Size {
  const clamp = (n: number) => Math.min(MAX_SIZE, Math.max(1, Math.trunc(n) || 1));
  return { cols: clamp(cols), rows: clamp(rows) };
}
