/** How many parsed bytes are acknowledged together while more is on its way. */
export const ACK_EVERY = 32_768;

/** Bytes that the terminal will never get; `parsed` is called when it has told so. */
export interface Missing {
  bytes: number;
  parsed: () => void;
}

/**
 * Counts the shell's output: where in it the connection stands, what the terminal was given, and how far it
 * has parsed. The server sends on only as far as it is told. A new connection begins where the terminal has
 * parsed to, so that never more than a window waits; what was given to the terminal already is dropped.
 */
export class OutputMeter {
  readonly #ack: (offset: number) => void;
  /** The next byte of this connection; 0 while the server has not said where one stands. */
  #wire = 0;
  /** Everything before it was given to the terminal, or is in a gap. */
  #given = 0;
  #parsed = 0;
  #acknowledged = 0;
  #bytes = 0;

  constructor(ack: (offset: number) => void) {
    this.#ack = ack;
  }

  /** Bytes that really arrived; neither gaps nor repetitions count. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Up to here the terminal has parsed. */
  get parsed(): number {
    return this.#parsed;
  }

  /** Begins with a terminal in which everything before `offset` was shown, or nothing is. */
  start(offset: number): void {
    this.#given = offset;
    this.#parsed = offset;
    this.#wire = offset;
    this.#acknowledged = offset;
  }

  /** The connection is lost. What it brought is parsed yet, but acknowledged to nobody: the next one begins anew. */
  pause(): void {
    this.#wire = 0;
  }

  /**
   * A new connection whose first byte is that at `offset`; by asking for it, what is before it was acknowledged.
   * Returns what is missing where it stands beyond what the terminal was given.
   */
  resume(offset: number): Missing | null {
    this.#wire = offset;
    this.#acknowledged = offset;
    const bytes = offset - this.#given;
    return bytes > 0 ? { bytes, parsed: this.#advance(offset) } : null;
  }

  /** Counts a chunk. Returns the part of it that is new; its `parsed` is called when the terminal has parsed it. */
  take(chunk: Uint8Array): { bytes: Uint8Array; parsed: () => void } | null {
    this.#wire += chunk.length;
    const fresh = this.#wire - this.#given;
    if (fresh <= 0) {
      this.#acknowledge();
      return null;
    }
    const bytes = fresh < chunk.length ? chunk.subarray(chunk.length - fresh) : chunk;
    this.#bytes += bytes.length;
    return { bytes, parsed: this.#advance(this.#wire) };
  }

  /** Bytes that the server left out: the offset jumps over them. A gap that goes back is the server's mistake. */
  skip(to: number): Missing | null {
    if (to <= this.#wire) return null;
    this.#wire = to;
    const bytes = to - this.#given;
    if (bytes > 0) return { bytes, parsed: this.#advance(to) };
    this.#acknowledge();
    return null;
  }

  #advance(end: number): () => void {
    this.#given = end;
    return () => {
      if (end <= this.#parsed) return;
      this.#parsed = end;
      this.#acknowledge();
    };
  }

  /** Never beyond what this connection has brought: the server takes that for a lie. */
  #acknowledge(): void {
    const to = Math.min(this.#parsed, this.#wire);
    if (to <= this.#acknowledged || (to < this.#wire && to - this.#acknowledged < ACK_EVERY)) return;
    this.#acknowledged = to;
    this.#ack(to);
  }
}
