import type { ExecEnd, ExecHandlers } from "./exec.ts";
import type { HelloFrame } from "./frames.ts";
import type { ExecSocket } from "./link.ts";
import type { Clock } from "./liveness.ts";

/** A socket whose other end is the test. */
export class FakeSocket implements ExecSocket {
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly frames: Record<string, unknown>[] = [];
  readonly stdin: Uint8Array[] = [];
  closedWith: number | undefined;

  send(data: string | Uint8Array): void {
    if (typeof data === "string") this.frames.push(JSON.parse(data));
    else this.stdin.push(data.slice());
  }

  close(code?: number): void {
    this.closedWith ??= code;
  }

  /** The server's frames. */
  say(frame: Record<string, unknown> | string): void {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  print(size: number): void {
    this.onmessage?.({ data: new ArrayBuffer(size) });
  }

  drop(code = 1006): void {
    this.onclose?.({ code, reason: "" });
  }

  of(type: string): Record<string, unknown>[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  get stdinBytes(): number {
    return this.stdin.reduce((sum, bytes) => sum + bytes.length, 0);
  }
}

/** A clock that the test moves. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { every: number; next: number; call: () => void }[] = [];

  now = () => this.#now;

  every = (milliseconds: number, call: () => void) => {
    const timer = { every: milliseconds, next: this.#now + milliseconds, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  after = (milliseconds: number, call: () => void) => {
    const stop = this.every(milliseconds, () => {
      stop();
      call();
    });
    return stop;
  };

  pass(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.next <= end).sort((a, b) => a.next - b.next)[0];
      if (!due) break;
      this.#now = due.next;
      due.next += due.every;
      due.call();
    }
    this.#now = end;
  }

  /** As a sleeping computer: time passes and no timer runs until the end of it. */
  sleep(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of this.#timers.filter((due) => due.next <= this.#now)) {
      timer.next = this.#now + timer.every;
      timer.call();
    }
  }

  get timers(): number {
    return this.#timers.length;
  }
}

/** Notes everything the stream says, and holds back the terminal's "parsed". */
export class Recorder implements ExecHandlers {
  readonly hellos: HelloFrame[] = [];
  readonly ends: ExecEnd[] = [];
  readonly gaps: { bytes: number; why: string }[] = [];
  readonly warnings: number[] = [];
  readonly doubts: boolean[] = [];
  readonly unparsed: (() => void)[] = [];
  readonly tries: number[] = [];
  unanswereds = 0;
  typingDrops = 0;
  printed = 0;
  activities = 0;

  hello(frame: HelloFrame): void {
    this.hellos.push(frame);
  }
  output(bytes: Uint8Array, parsed: () => void): void {
    this.printed += bytes.length;
    this.unparsed.push(parsed);
  }
  gap(gap: { bytes: number; why: string }, parsed: () => void): void {
    this.gaps.push(gap);
    this.unparsed.push(parsed);
  }
  idleWarning(seconds: number): void {
    this.warnings.push(seconds);
  }
  doubt(doubtful: boolean): void {
    this.doubts.push(doubtful);
  }
  activity(): void {
    this.activities++;
  }
  reconnecting(tries: number): void {
    this.tries.push(tries);
  }
  unanswered(): void {
    this.unanswereds++;
  }
  typingDropped(): void {
    this.typingDrops++;
  }
  ended(end: ExecEnd): void {
    this.ends.push(end);
  }

  parse(chunks = this.unparsed.length): void {
    for (const parsed of this.unparsed.splice(0, chunks)) parsed();
  }
}
