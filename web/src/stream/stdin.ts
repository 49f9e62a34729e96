/** What is sent in one binary frame at most: small enough that acknowledgements come back steadily during a paste. */
export const MAX_FRAME = 16_384;

/**
 * Keystrokes and pastes on their way to the server. Never more than `window` bytes are sent and not
 * acknowledged; the rest waits here in order.
 */
export class StdinQueue {
  readonly #send: (bytes: Uint8Array) => void;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #sent = 0;
  #acknowledged = 0;
  /** 0 until the server said hello: nothing is sent before. */
  #window = 0;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  /** Bytes that were not sent yet. */
  get unsent(): number {
    return this.#waitingBytes;
  }

  get sent(): number {
    return this.#sent;
  }

  start(offset: number, window: number): void {
    this.#sent = offset;
    this.#acknowledged = offset;
    this.#window = window;
    this.#pump();
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

  #pump(): void {
    let head = 0;
    for (;;) {
      const next = this.#waiting[head];
      const room = this.#window - (this.#sent - this.#acknowledged);
      if (!next || room <= 0) break;
      const size = Math.min(next.length, room, MAX_FRAME);
      this.#waiting[head] = next.subarray(size);
      if (size === next.length) head++;
      this.#waitingBytes -= size;
      this.#sent += size;
      this.#send(next.subarray(0, size));
    }
    if (head > 0) this.#waiting.splice(0, head);
  }
}
