import type { Clock } from "./liveness.ts";

/** Between two tries; the exact time is drawn, so that a server that restarts is not met by everybody at once. */
export const SHORTEST_WAIT_MS = 250;
export const LONGEST_WAIT_MS = 5_000;
/** Browsers run the timers of a hidden page as rarely as once a minute; what is longer between two looks was sleep. */
const LONGEST_TICK_MS = 90_000;
const TICK_MS = 1_000;
/** A connection that stood for so long was of use, even if nothing moved on it. */
const STOOD_MS = 5_000;

/** How long to wait after the `tries`-th try that failed. `random` is in [0, 1). */
export function waitAfter(tries: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** tries);
  return SHORTEST_WAIT_MS + random * (ceiling - SHORTEST_WAIT_MS);
}

export interface ComebackEvents {
  /** Try to connect; the tries are counted from 1. */
  attempt(tries: number): void;
  /** Even the last try, after the grace, has failed. */
  giveUp(): void;
}

/**
 * Decides when to try to come back. The grace is counted in time that this page was awake, since a computer that
 * slept cannot know; when it is over one more try is made, because only the server knows.
 */
export class Comeback {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #events: ComebackEvents;
  #stopWait: (() => void) | null = null;
  #stopTick: (() => void) | null = null;
  #lastTick = 0;
  #awake = 0;
  #grace = 0;
  /** Tries since the loss, which the reader sees. */
  #tries = 0;
  /** Tries since a connection last was of use, which decide how long to wait. */
  #useless = 0;
  #trying = false;
  #last = false;
  #stoppedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, random: () => number, events: ComebackEvents) {
    this.#clock = clock;
    this.#random = random;
    this.#events = events;
  }

  get running(): boolean {
    return this.#stopTick !== null;
  }

  /** The connection is lost: the first try is at once, unless the last one that came to something was of no use. */
  start(graceSeconds: number): void {
    this.#grace = graceSeconds * 1_000;
    this.#awake = 0;
    this.#tries = 0;
    this.#last = false;
    this.#lastTick = this.#clock.now();
    if (this.#lastTick - this.#stoppedAt >= STOOD_MS) this.useful();
    this.#stopTick = this.#clock.every(TICK_MS, () => this.#tick());
    if (this.#useless === 0) this.now();
    else this.#wait();
  }

  /** Tries at once, in the place of a try that is under way. */
  now(): void {
    if (!this.running) return;
    this.#stopWaiting();
    this.#trying = true;
    this.#useless++;
    this.#events.attempt(++this.#tries);
  }

  failed(): void {
    if (!this.running) return;
    this.#trying = false;
    if (!this.#last) this.#wait();
    else {
      this.stop();
      this.#events.giveUp();
    }
  }

  /** Connected, or not wanted any more. */
  stop(): void {
    this.#stopWaiting();
    this.#stopTick?.();
    this.#stopTick = null;
    this.#trying = false;
    this.#stoppedAt = this.#clock.now();
  }

  /** A connection has moved something: the next loss is a new one. */
  useful(): void {
    this.#useless = 0;
  }

  #wait(): void {
    this.#stopWaiting();
    this.#stopWait = this.#clock.after(waitAfter(this.#useless, this.#random()), () => this.now());
  }

  #stopWaiting(): void {
    this.#stopWait?.();
    this.#stopWait = null;
  }

  #tick(): void {
    const now = this.#clock.now();
    this.#awake += Math.max(0, Math.min(now - this.#lastTick, LONGEST_TICK_MS));
    this.#lastTick = now;
    if (this.#awake < this.#grace || this.#last) return;
    this.#last = true;
    if (!this.#trying) this.now();
  }
}
