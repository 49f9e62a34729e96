/** What is sent in one binary frame at most: small enough that acknowledgements come back steadily during a paste. */
export const MAX_FRAME = 16_384;

/**
 * Keystrokes and pastes on their way to the server. Never more than `window` bytes are sent and not
 * acknowledged; the rest waits here in order. What was sent is kept until it is acknowledged, so that a new
 * connection goes on at the very byte that the server has not got. The end, where there is one, is told on each
 * connection after the last byte.
 */
export class StdinQueue {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #sendEnd: () => void;
  /** Sent and not acknowledged: at most a window. */
  #flying: Uint8Array[] = [];
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #sent = 0;
  #acknowledged = 0;
  /** 0 without a connection: nothing is sent. */
  #window = 0;
  #ended = false;
  #toldEnd = false;

  constructor(send: (bytes: Uint8Array) => void, sendEnd: () => void = () => {}) {
    this.#send = send;
    this.#sendEnd = sendEnd;
  }

  /** Bytes that were not sent yet. */
  get unsent(): number {
    return this.#waitingBytes;
  }

  get sent(): number {
    return this.#sent;
  }

  /** Up to here the server has handed them on. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  start(offset: number, window: number): void {
    this.#sent = offset;
    this.#acknowledged = offset;
    this.#flying = [];
    this.#window = window;
    this.#pump();
  }

  /** The connection is lost: everything is kept. */
  pause(): void {
    this.#window = 0;
    this.#toldEnd = false;
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#pump();
  }

  /**
   * A new connection, to a server that has every byte before `offset`: what it lacks is sent again. Returns
   * false where the offset cannot be ours, since somebody else has typed meanwhile; then all is dropped.
   */
  resume(offset: number, window: number): boolean {
    if (offset < this.#acknowledged || offset > this.#sent) {
      this.discard();
      this.start(offset, window);
      return false;
    }
    this.#waiting = [...this.#from(offset), ...this.#waiting];
    this.#waitingBytes += this.#sent - offset;
    this.#flying = this.#until(offset);
    this.#sent = offset;
    this.#window = window;
    this.#pump();
    return true;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#pump();
  }

  /** An acknowledgement of bytes that were never sent, or one that goes back, is the server's mistake: it changes nothing. */
  acknowledge(offset: number): void {
    if (offset <= this.#acknowledged || offset > this.#sent) return;
    this.#flying = this.#from(offset);
    this.#acknowledged = offset;
    this.#pump();
  }

  /** Drops what was not sent, and says how much that was. */
  discard(): number {
    const dropped = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return dropped;
  }

  /** What is flying from `offset` on. */
  #from(offset: number): Uint8Array[] {
    return cut(this.#flying, offset - this.#acknowledged, Number.POSITIVE_INFINITY);
  }

  #until(offset: number): Uint8Array[] {
    return cut(this.#flying, 0, offset - this.#acknowledged);
  }

  #pump(): void {
    let head = 0;
    for (;;) {
      const next = this.#waiting[head];
      const room = this.#window - (this.#sent - this.#acknowledged);
      if (!next || room <= 0) break;
      const size = Math.min(next.length, room, MAX_FRAME);
      this.#waiting[head] = next.subarray(size);
      if (size === next.length) head++;
      const bytes = next.subarray(0, size);
      this.#waitingBytes -= size;
      this.#sent += size;
      this.#flying.push(bytes);
      this.#send(bytes);
    }
    if (head > 0) this.#waiting.splice(0, head);
    if (!this.#ended || this.#toldEnd || this.#window === 0 || this.#waiting.length > 0) return;
    this.#toldEnd = true;
    this.#sendEnd();
  }
}

/** The bytes from `start` to `end` of a row of chunks. */
function cut(chunks: readonly Uint8Array[], start: number, end: number): Uint8Array[] {
  let at = 0;
  const part: Uint8Array[] = [];
  for (const chunk of chunks) {
    const [from, to] = [Math.max(0, start - at), Math.min(chunk.length, end - at)];
    if (from < to) part.push(chunk.subarray(from, to));
    at += chunk.length;
  }
  return part;
}
