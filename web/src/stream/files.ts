import { Sha256 } from "../lib/sha256.ts";
import { type ExecEnd, ExecStream } from "./exec.ts";
import type { CarriedFile, FileRequest, FoundFile, HelloFrame } from "./frames.ts";
import type { OpenSocket } from "./link.ts";
import type { Clock } from "./liveness.ts";

/** What is read of a file at a time: with a window on its way, all of it that is ever in memory. */
export const SLICE = 262_144;

/** A file of this computer, to be read. */
export interface CopySource {
  readonly size: number;
  /** It is a tar archive, to be unpacked. */
  readonly archive?: boolean;
  /** The bytes from `from` to `to`. Fewer, or a rejection, are a file that was changed or went away. */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** Where the bytes of a file go on this computer. It is there whole after `finish`, and else not at all. */
export interface CopySink {
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  abandon(): void;
}

export type CopyEnd =
  | { kind: "done"; file: CarriedFile }
  /** Not copied; `why` is a sentence for whoever wanted it. */
  | { kind: "failed"; why: string }
  /** The session ended before the copy did. */
  | { kind: "stopped"; end: ExecEnd };

export interface CopyEvents {
  /** The session stands, for the first time or again. */
  connected(hello: HelloFrame): void;
  /** The connection is lost, and the copy waits: this is the n-th try to get back to it. */
  reconnecting(tries: number): void;
  /** A try got no answer that a page can read. */
  unanswered(): void;
  ended(end: CopyEnd): void;
  /** The server has no session for it any more, or has been told as far as that was possible: how that ended. */
  released(end: ExecEnd): void;
}

export interface CopyOptions {
  url: string;
  container: string;
  reason: string;
  file: Pick<FileRequest, "path" | "name">;
  /** Up: what is read. Down: asked once it is known what was found; nothing more than a window comes before its answer. */
  carries: { up: CopySource } | { down: (found: FoundFile) => Promise<CopySink> };
  events: CopyEvents;
  openSocket: OpenSocket;
  clock?: Clock;
  random?: () => number;
}

const OLD_SERVER = "The server says nothing of the file: it may be too old to copy files.";
const CHANGED = "The file was changed or removed while it was read. Choose it again.";
const GAP = "Part of the file was lost on the way. Copy it again.";

/**
 * One file on its way to or from a container: a session of its own, which survives a lost connection as a shell does.
 * Both ends count and sum the bytes, and a copy is done only where they agree.
 */
export class FileCopy {
  readonly #options: CopyOptions;
  readonly #stream: ExecStream;
  readonly #sum = new Sha256();
  #over = false;
  /** Bytes of a download that are kept. */
  #saved = 0;
  #sink: CopySink | null = null;
  #sinkAsked: Promise<CopySink> | null = null;
  /** The writes of a download, one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #read = 0;
  /** Read, and not taken by the stream, which had lost its connection. */
  #held: Uint8Array | null = null;
  #reading = false;

  constructor(options: CopyOptions) {
    this.#options = options;
    const { url, container, reason, file, carries, openSocket, clock, random, events } = options;
    const request: FileRequest =
      "up" in carries
        ? { ...file, op: carries.up.archive ? "unpack" : "put", size: carries.up.size }
        : { ...file, op: "get", size: 0 };
    this.#stream = new ExecStream({
      url,
      begin: { kind: "open", container, reason, command: [], tty: false, file: request },
      size: null,
      openSocket,
      clock,
      random,
      handlers: {
        hello: (hello) => this.#hello(hello),
        output: (bytes, parsed) => this.#output(bytes, parsed),
        gap: (_, parsed) => this.#gap(parsed),
        taken: () => this.#feed(),
        reconnecting: (tries) => events.reconnecting(tries),
        unanswered: () => events.unanswered(),
        ended: (end) => this.#streamEnded(end),
        idleWarning: nothing,
        doubt: nothing,
        activity: nothing,
        typingDropped: () => this.#finish({ kind: "failed", why: GAP }),
      },
    });
  }

  /** Carried so far: handed to the container, or kept here. */
  get bytes(): number {
    return "up" in this.#options.carries ? this.#stream.bytesTaken : this.#saved;
  }

  /** Ends it. What was carried is removed at both ends. */
  cancel(): void {
    this.#stop();
    this.#stream.close();
  }

  /** As `cancel`, but where there is no connection the server is not told: it ends the copy by itself. */
  abandon(): void {
    this.#stop();
    this.#stream.abandon();
  }

  retry(): void {
    this.#stream.retry();
  }

  networkChanged(): void {
    this.#stream.networkChanged();
  }

  networkGone(): void {
    this.#stream.networkGone();
  }

  seen(): void {
    this.#stream.seen();
  }

  #stop(): void {
    this.#over = true;
    this.#held = null;
    this.#sink?.abandon();
  }

  #finish(end: CopyEnd): void {
    if (this.#over) return;
    if (end.kind === "done") this.#over = true;
    else this.#stop();
    this.#options.events.ended(end);
    // What the container has of it is removed there.
    this.#stream.close();
  }

  #hello(hello: HelloFrame): void {
    if (this.#over) return;
    this.#options.events.connected(hello);
    if (!hello.file) this.#finish({ kind: "failed", why: OLD_SERVER });
    else if ("up" in this.#options.carries) this.#feed();
    else this.#askSink(hello.file);
  }

  /** Hands on what was read, and reads on where there is room. */
  #feed(): void {
    const { carries } = this.#options;
    if (this.#reading || this.#over || !("up" in carries)) return;
    const source = carries.up;
    while (this.#read < source.size && this.#stream.unsent < SLICE) {
      if (!this.#held) {
        void this.#readOn(source);
        return;
      }
      // Without a connection it is sent after the next hello.
      if (!this.#stream.write(this.#held)) return;
      this.#sum.update(this.#held);
      this.#read += this.#held.length;
      this.#held = null;
    }
    if (this.#read === source.size) this.#stream.endInput();
  }

  async #readOn(source: CopySource): Promise<void> {
    this.#reading = true;
    try {
      this.#held = await this.#slice(source);
    } catch {
      this.#finish({ kind: "failed", why: CHANGED });
    }
    this.#reading = false;
    this.#feed();
  }

  async #slice(source: CopySource): Promise<Uint8Array> {
    const to = Math.min(this.#read + SLICE, source.size);
    const bytes = await source.read(this.#read, to);
    if (bytes.length !== to - this.#read) throw new Error("the file became shorter");
    return bytes;
  }

  #askSink(found: FoundFile): void {
    const { carries } = this.#options;
    if (this.#sinkAsked || !("down" in carries)) return;
    this.#sinkAsked = carries.down(found).then((sink) => {
      this.#sink = sink;
      if (this.#over) sink.abandon();
      return sink;
    });
    this.#sinkAsked.catch((thrown) => this.#notKept(thrown));
  }

  #output(bytes: Uint8Array, parsed: () => void): void {
    this.#writing = this.#writing.then(async () => {
      try {
        if (!this.#over) await this.#keep(bytes);
      } catch (thrown) {
        this.#notKept(thrown);
      }
      parsed();
    });
  }

  async #keep(bytes: Uint8Array): Promise<void> {
    const sink = await this.#sinkAsked;
    if (this.#over || !sink) return;
    await sink.write(bytes);
    this.#sum.update(bytes);
    this.#saved += bytes.length;
  }

  #notKept(thrown?: unknown): void {
    const why = thrown instanceof NotKept ? thrown.message : "This computer could not keep the file: is its disk full?";
    this.#finish({ kind: "failed", why });
  }

  #gap(parsed: () => void): void {
    this.#finish({ kind: "failed", why: GAP });
    parsed();
  }

  #streamEnded(end: ExecEnd): void {
    this.#options.events.released(end);
    void this.#judge(end);
  }

  async #judge(end: ExecEnd): Promise<void> {
    if (end.kind !== "said" || end.closed.reason !== "completed") {
      this.#finish({ kind: "stopped", end });
      return;
    }
    const { exitCode, message, file } = end.closed;
    if (exitCode !== 0) this.#finish({ kind: "failed", why: message || "The copy failed in the container." });
    else if (!file) this.#finish({ kind: "failed", why: OLD_SERVER });
    else await this.#compare(file);
  }

  async #compare(there: CarriedFile): Promise<void> {
    await this.#writing;
    // An empty file has no write that would have waited for the place where it goes.
    await this.#sinkAsked?.catch(nothing);
    if (this.#over) return;
    if (this.#sum.bytes !== there.bytes || this.#sum.hex() !== there.sha256) {
      const why = `The copy is not what was read: ${this.#sum.bytes} bytes here, ${there.bytes} there, or other ones. Copy it again.`;
      this.#finish({ kind: "failed", why });
      return;
    }
    try {
      await this.#sink?.finish();
      this.#finish({ kind: "done", file: there });
    } catch (thrown) {
      this.#notKept(thrown);
    }
  }
}

/** Why a sink keeps nothing more, in a sentence. */
export class NotKept extends Error {}

function nothing(): void {}
