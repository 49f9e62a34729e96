import type { ExecSession } from "../../api/types.ts";
import { wordsOf } from "../../lib/match.ts";

export const COLUMN_IDS = ["pod", "who", "reason", "state", "via", "started", "idle", "in", "out"] as const;
export type ColumnId = (typeof COLUMN_IDS)[number];

interface ColumnLook {
  title: string;
  /** A track of the grid. */
  width: string;
  right?: boolean;
}

export const LOOKS: Record<ColumnId, ColumnLook> = {
  pod: { title: "Shell in", width: "minmax(240px, 2.4fr)" },
  who: { title: "Who", width: "minmax(150px, 1.2fr)" },
  reason: { title: "Why", width: "minmax(120px, 1.5fr)" },
  state: { title: "State", width: "124px" },
  via: { title: "Via", width: "108px" },
  started: { title: "Open for", width: "96px", right: true },
  idle: { title: "Idle", width: "88px", right: true },
  in: { title: "Typed", width: "92px", right: true },
  out: { title: "Printed", width: "92px", right: true },
};

const collator = new Intl.Collator("en", { numeric: true });
const time = (iso: string) => Date.parse(iso) || 0;

export function nameOf(session: Pick<ExecSession, "email" | "subject">): string {
  return session.email || session.subject;
}

function by(read: (session: ExecSession) => string) {
  return (a: ExecSession, b: ExecSession) => collator.compare(read(a), read(b));
}

/** Ascending; durations grow as the moments they began at fall. */
const COMPARE: Record<ColumnId, (a: ExecSession, b: ExecSession) => number> = {
  pod: by((s) => `${s.pod} ${s.namespace} ${s.cluster} ${s.container}`),
  who: by(nameOf),
  reason: by((s) => s.reason),
  started: (a, b) => time(b.startedAt) - time(a.startedAt),
  idle: (a, b) => time(b.lastActivityAt) - time(a.lastActivityAt),
  in: (a, b) => a.bytesIn - b.bytesIn,
  out: (a, b) => a.bytesOut - b.bytesOut,
  via: by((s) => s.transport),
  state: by((s) => s.state),
};

export interface Sort {
  id: ColumnId;
  desc: boolean;
}

/** Equal ones stay in the server's order, newest first. */
export function sortSessions(sessions: readonly ExecSession[], { id, desc }: Sort): ExecSession[] {
  return [...sessions].sort((a, b) => (desc ? COMPARE[id](b, a) : COMPARE[id](a, b)));
}

/** "-idle" in the address: by idleness, longest first. */
export function parseSort(sort: string): Sort {
  const desc = sort.startsWith("-");
  const found = COLUMN_IDS.find((id) => id === (desc ? sort.slice(1) : sort));
  return found ? { id: found, desc } : { id: "started", desc: false };
}

export function formatSort({ id, desc }: Sort): string | undefined {
  if (id === "started" && !desc) return undefined;
  return desc ? `-${id}` : id;
}

/** The sessions in which every typed word occurs somewhere. */
export function filterSessions(sessions: readonly ExecSession[], query: string): readonly ExecSession[] {
  const words = wordsOf(query);
  if (words.length === 0) return sessions;
  return sessions.filter((s) => {
    const place = `${s.cluster} ${s.namespace}/${s.pod} ${s.container}`;
    const text = `${place} ${s.subject} ${s.email} ${s.reason} ${s.state} ${s.transport}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
