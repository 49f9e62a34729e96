import { type Readable, Store } from "./store.ts";

const now = new Store(Date.now());
let watchers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** The time, once a second, from one timer for the whole page; it stands still while nobody looks. */
export const clock: Readable<number> = {
  get: now.get,
  watch(listener) {
    if (watchers++ === 0) {
      now.set(Date.now());
      timer = setInterval(() => now.set(Date.now()), 1000);
    }
    const stop = now.watch(listener);
    return () => {
      stop();
      if (--watchers === 0) clearInterval(timer);
    };
  },
};
