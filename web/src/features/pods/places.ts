import { useLocation } from "@tanstack/react-router";
import { useState } from "react";

/** Where a list was left. */
interface Place {
  offset: number;
  /** Of the row with the cursor; empty where there was none. */
  rowId: string;
}

const MOST = 50;
const places = new Map<string, Place>();

const keyOf = (visit: string, list: string) => `${visit} ${list}`;

/** Keeps where a list was left, for whoever comes back to it: of the last ones, as long as this page lives. */
export function keepPlace(visit: string, list: string, place: Place): void {
  const key = keyOf(visit, list);
  places.delete(key);
  places.set(key, place);
  const [oldest] = places.keys();
  if (places.size > MOST && oldest !== undefined) places.delete(oldest);
}

export function placeOf(visit: string, list: string): Place | undefined {
  return places.get(keyOf(visit, list));
}

/**
 * Which entry of the browser's history is shown: Back and Forward come to the same one again, a link makes a new one. While the
 * next page is on its way the address is that page's already, and the entry still this one's.
 */
export function useVisit(): string {
  const { pathname, state } = useLocation();
  const now = { pathname, key: state.__TSR_key ?? "" };
  const [shown, setShown] = useState(now);
  const here = shown.pathname === pathname ? now : shown;
  if (here.key !== shown.key) setShown(here);
  return here.key;
}
