import { POD_TABS, type PodTab } from "../features/pod/PodPage.tsx";
import type { PodsSearch } from "../features/pods/PodsPage.tsx";
import type { SessionsSearch } from "../features/sessions/SessionsPage.tsx";

/** What addresses may say; anything else in them is passed over. */
function text(value: unknown): string | undefined {
  // The router reads 42 as a number; a filter of digits is still text.
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function parsePodsSearch(search: Record<string, unknown>): PodsSearch {
  return { ns: text(search.ns), q: text(search.q), sort: text(search.sort) };
}

export function parsePodSearch(search: Record<string, unknown>): { tab?: PodTab } {
  return { tab: POD_TABS.find((tab) => tab === search.tab && tab !== "containers") };
}

/** `add` is "" where a cluster is to be added and it is not said which. */
export function parseAgentsSearch({ add }: Record<string, unknown>): { add?: string } {
  return { add: add === "" ? "" : text(add) };
}

export function parseSessionsSearch(search: Record<string, unknown>): SessionsSearch {
  return { q: text(search.q), sort: text(search.sort), mine: search.mine === true || undefined };
}
