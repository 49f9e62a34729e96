import { useSyncExternalStore } from "react";
import type { Readable } from "../lib/store.ts";

export function useStore<T>(store: Readable<T>): T {
  return useSyncExternalStore(store.watch, store.get);
}
