/** Browsers run the timers of a hidden page as rarely as once a minute; what is longer between two looks was sleep. */
const LONGEST_GAP_MS = 90_000;

interface Active {
  /** When something was last typed or printed, by the wall clock. */
  readonly lastActivity: number;
}

/**
 * How long each shell of a hidden page has been silent. Only time in which the page was awake counts: a
 * computer that sleeps ends nothing by waking up, and neither does a clock that is set.
 */
export class Silence<T extends Active> {
  readonly #limit: number;
  #last: number;
  #known = new Map<T, { activity: number; silent: number }>();

  constructor(limitMs: number, now: number) {
    this.#limit = limitMs;
    this.#last = now;
  }

  /** Looks at the shells that live; returns those that have been silent for the limit. */
  look(shells: readonly T[], now: number): T[] {
    const passed = Math.max(0, Math.min(now - this.#last, LONGEST_GAP_MS));
    this.#known = new Map(shells.map((shell) => [shell, this.#seen(shell, now, passed)]));
    this.#last = now;
    return shells.filter((shell) => (this.#known.get(shell)?.silent ?? 0) >= this.#limit);
  }

  #seen(shell: T, now: number, passed: number): { activity: number; silent: number } {
    const activity = shell.lastActivity;
    const before = this.#known.get(shell);
    const moved = before ? before.activity !== activity : activity > this.#last;
    const since = Math.max(0, Math.min(now - activity, passed));
    return { activity, silent: moved ? since : (before?.silent ?? 0) + passed };
  }
}
