/** Of a page that is being loaded anew the browser mostly still holds the lock for a moment, */
export const SOON_MS = 500;
/** and on a busy computer for longer. Later than that, whoever lets go of it is loading anew as well. */
export const LATE_MS = 10_000;

const name = (sessionId: string) => `periscope.shell.${sessionId}`;

/**
 * A window's hold on a shell, among all windows of this browser. A tab that is duplicated takes a copy of what the first
 * one has kept, the keys to its shells among it: without this the copy would take them away. Where a browser has no
 * locks (a page that came without TLS from another machine), the newest window wins, as for windows of two browsers.
 */
export class Hold {
  readonly #release = new AbortController();

  /** Waits as long as `within` says for whoever has it; without: for as long as it takes. Resolves to whether it is held. */
  take(sessionId: string, within?: number): Promise<boolean> {
    const locks = navigator.locks as LockManager | undefined;
    if (!locks) return Promise.resolve(true);
    const patience = within === undefined ? [] : [AbortSignal.timeout(within)];
    return new Promise((resolve) => {
      locks
        .request(name(sessionId), { signal: AbortSignal.any([this.#release.signal, ...patience]) }, () => {
          resolve(true);
          return this.#released();
        })
        .catch(() => resolve(false));
    });
  }

  release(): void {
    this.#release.abort();
  }

  #released(): Promise<void> {
    const { signal } = this.#release;
    if (signal.aborted) return Promise.resolve();
    return new Promise((done) => signal.addEventListener("abort", () => done(), { once: true }));
  }
}
