import { Store } from "./store.ts";

/** One short remark that needs no answer ("Copied"). Anything that needs one belongs on the page. */
export interface Notice {
  id: number;
  text: string;
}

/** A glance at the least; longer where there is more to read. */
const SHOWN_MS = 2500;
const PER_LETTER_MS = 60;

export const notice = new Store<Notice | null>(null);

let lastId = 0;

export function notify(text: string): void {
  const id = ++lastId;
  notice.set({ id, text });
  setTimeout(
    () => {
      if (notice.get()?.id === id) notice.set(null);
    },
    Math.max(SHOWN_MS, text.length * PER_LETTER_MS),
  );
}
