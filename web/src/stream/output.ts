/** How many parsed bytes are acknowledged together while more is on its way. */
export const ACK_EVERY = 32_768;

/**
 * Counts the shell's output: where in it the next byte stands, and how far the terminal has parsed.
 * The server sends on only as far as it is told.
 */
export class OutputMeter {
  readonly #ack: (offset: number) => void;
  #received = 0;
  #parsed = 0;
  #acknowledged = 0;
  #bytes = 0;

  constructor(ack: (offset: number) => void) {
    this.#ack = ack;
  }

  /** Bytes that really arrived; gaps do not count. */
  get bytes(): number {
    return this.#bytes;
  }

  start(offset: number): void {
    this.#received = offset;
    this.#parsed = offset;
    this.#acknowledged = offset;
  }

  /** Counts a chunk; the function it returns is called when the terminal has parsed it. */
  take(size: number): () => void {
    this.#bytes += size;
    return this.#advance(this.#received + size);
  }

  /** Bytes the server left out: the offset jumps over them. A gap that goes back is the server's mistake. */
  skip(to: number): (() => void) | null {
    return to > this.#received ? this.#advance(to) : null;
  }

  #advance(end: number): () => void {
    this.#received = end;
    return () => {
      if (end <= this.#parsed) return;
      this.#parsed = end;
      const drained = end === this.#received;
      if (!drained && end - this.#acknowledged < ACK_EVERY) return;
      this.#acknowledged = end;
      this.#ack(end);
    };
  }
}
