export const PING_EVERY_MS = 10_000;
/** Nothing heard for this long, a ping included: the connection is gone. The server uses the same figure. */
export const SILENCE_MS = 25_000;
/** The same where a new connection costs nothing, because the shell waits. */
export const RESUMABLE_SILENCE_MS = 20_000;
const TICK_MS = 5_000;
/** A ping unanswered for this long is worth telling: what is typed now may not arrive. */
const DOUBT_MS = 5_000;
/** A server that was heard this long ago is taken to be there. */
const FRESH_MS = 2_000;
/** What comes this soon after a question may have been on its way before, and says nothing of the network since. */
const ON_ITS_WAY_MS = 1_000;

export interface Clock {
  now(): number;
  every(milliseconds: number, call: () => void): () => void;
  after(milliseconds: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  every: (milliseconds, call) => {
    const timer = setInterval(call, milliseconds);
    return () => clearInterval(timer);
  },
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};

export interface LivenessEvents {
  ping(id: number): void;
  /** The server is slow to answer, or answers again. */
  doubt(doubtful: boolean): void;
  lost(): void;
}

/**
 * Pings the server and notices when it has gone silent. Timers of a hidden tab run late, and of a
 * sleeping computer not at all: silence counts only while this clock was really ticking.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #events: LivenessEvents;
  #stop: (() => void) | null = null;
  /** The ping that has to be answered soon, and when it was sent. */
  #demand: { id: number; at: number; stop: () => void } | null = null;
  /** Silence longer than this is the end of the connection. */
  limit = SILENCE_MS;
  #lastHeard = 0;
  #lastPing = 0;
  #lastTick = 0;
  #unanswered = false;
  #doubtful = false;
  #id = 0;

  constructor(clock: Clock, events: LivenessEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  start(): void {
    const now = this.#clock.now();
    this.#lastHeard = now;
    this.#lastPing = now;
    this.#lastTick = now;
    this.#stop = this.#clock.every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#stop?.();
    this.#stop = null;
    this.#satisfied();
  }

  /** Anything at all arrived from the server. */
  heard(): void {
    this.#lastHeard = this.#clock.now();
    this.#unanswered = false;
    if (this.#demand && this.#lastHeard - this.#demand.at >= ON_ITS_WAY_MS) this.#satisfied();
    this.#setDoubt(false);
  }

  /** The answer to a ping arrived. */
  answered(id: number): void {
    if (this.#demand && id >= this.#demand.id) this.#satisfied();
  }

  /** Asks at once, and takes no answer within `limit`, of more than a second, for the end of the connection. */
  demand(limit: number): void {
    if (!this.#stop || this.#demand) return;
    this.probe();
    const stop = this.#clock.after(limit, () => this.#events.lost());
    this.#demand = { id: this.#id, at: this.#lastPing, stop };
  }

  /** As `demand`, unless something was heard just now. */
  demandUnlessFresh(limit: number): void {
    if (this.#clock.now() - this.#lastHeard > FRESH_MS) this.demand(limit);
  }

  /** Asks at once, as when the network came back. */
  probe(): void {
    if (!this.#stop) return;
    this.#lastPing = this.#clock.now();
    this.#unanswered = true;
    this.#events.ping(++this.#id);
  }

  #tick(): void {
    const now = this.#clock.now();
    const late = now - this.#lastTick > 3 * TICK_MS;
    this.#lastTick = now;
    if (late) {
      // What arrived meanwhile is still in the queue behind this timer: start counting again.
      this.#lastHeard = now;
      this.probe();
    } else if (this.#unanswered && now - this.#lastHeard >= this.limit) {
      this.#events.lost();
    } else {
      if (this.#unanswered && now - this.#lastPing >= DOUBT_MS) this.#setDoubt(true);
      if (now - this.#lastPing >= PING_EVERY_MS) this.probe();
    }
  }

  #satisfied(): void {
    this.#demand?.stop();
    this.#demand = null;
  }

  #setDoubt(doubtful: boolean): void {
    if (doubtful === this.#doubtful) return;
    this.#doubtful = doubtful;
    this.#events.doubt(doubtful);
  }
}
