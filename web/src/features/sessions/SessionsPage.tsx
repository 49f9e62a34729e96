import { Link, useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useMemo, useState } from "react";
import { explain } from "../../api/explain.ts";
import { sessionsQuery } from "../../api/queries.ts";
import type { ExecSession, SessionList } from "../../api/types.ts";
import { Button, buttonClass } from "../../ui/Button.tsx";
import { FilterField } from "../../ui/FilterField.tsx";
import { Segments } from "../../ui/Segments.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Empty, Fault, Skeleton, Strip } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { filterSessions, formatSort, parseSort, sortSessions } from "./columns.ts";
import { EndDialog } from "./EndDialog.tsx";
import { SessionTable } from "./SessionTable.tsx";
import { TakeOverDialog } from "./TakeOverDialog.tsx";

/** What the address says about the list. */
export interface SessionsSearch {
  q?: string;
  sort?: string;
  mine?: boolean;
}

interface SessionsPageProps {
  search: SessionsSearch;
  onSearch(change: SessionsSearch): void;
  who: string;
  /** Whether the shell runs in this very window. */
  isHere(sessionId: string): boolean;
  onOpenHere(session: ExecSession): void;
}

/** Every shell that is open: one's own, to an administrator everybody's. */
export function SessionsPage({ search, onSearch, who, isHere, onOpenHere }: SessionsPageProps) {
  const { q = "", sort = "", mine = false } = search;
  const { query: list, waiting, failure } = useAsked(sessionsQuery());
  const navigate = useNavigate();
  const [ending, setEnding] = useState<ExecSession | null>(null);
  const [taking, setTaking] = useState<ExecSession | null>(null);
  const filter = useDeferredValue(q);
  const shown = useMemo(() => {
    const all = (list.data?.sessions ?? []).filter((session) => !mine || session.own);
    return sortSessions(filterSessions(all, filter), parseSort(sort));
  }, [list.data, mine, filter, sort]);
  const everybodys = list.data?.scope === "all";

  return (
    <div className="flex h-full min-h-0 flex-col">
      <Toolbar search={search} onSearch={onSearch} list={list.data} shown={shown.length} />
      {everybodys && !mine ? <AdminStrip /> : null}
      <Stale
        what="The sessions"
        at={list.dataUpdatedAt}
        fault={list.isRefetchError ? explain(list.error) : null}
        retry={() => void list.refetch()}
      />
      {shown.length > 0 ? (
        <SessionTable
          sessions={shown}
          everybodys={everybodys}
          sort={parseSort(sort)}
          onSort={(next) => onSearch({ sort: formatSort(next) })}
          isHere={isHere}
          onEnd={setEnding}
          onOpenHere={(session) => (session.state === "attached" ? setTaking(session) : onOpenHere(session))}
          onOpenPod={({ cluster, namespace, pod }) =>
            void navigate({ to: "/clusters/$cluster/pods/$namespace/$pod", params: { cluster, namespace, pod } })
          }
        />
      ) : null}
      {list.data && shown.length === 0 ? <None {...{ q, mine, everybodys, onSearch }} /> : null}
      {waiting ? <Skeleton rows={6} label="Loading sessions" /> : null}
      {failure ? <Fault fault={explain(failure)} who={who} retry={() => list.refetch()} /> : null}
      {ending ? <EndDialog session={ending} here={isHere(ending.sessionId)} onClose={() => setEnding(null)} /> : null}
      {taking ? <TakeOverDialog session={taking} onClose={() => setTaking(null)} onTakeOver={onOpenHere} /> : null}
    </div>
  );
}

function AdminStrip() {
  return (
    <Strip tone="info">
      You are an administrator and see everybody’s shells. Ending one is recorded in audit, and its owner is told that
      it was you.
    </Strip>
  );
}

interface ToolbarProps {
  search: SessionsSearch;
  onSearch(change: SessionsSearch): void;
  list: SessionList | undefined;
  shown: number;
}

function Toolbar({ search, onSearch, list, shown }: ToolbarProps) {
  return (
    <div className="flex shrink-0 flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-4 py-2">
      <h1 className="sr-only">Sessions</h1>
      <div className="flex basis-full sm:contents">
        <FilterField
          label="Filter sessions"
          placeholder="Filter by pod, person, reason"
          value={search.q ?? ""}
          onChange={(q) => onSearch({ q: q || undefined })}
        />
      </div>
      {list?.scope === "all" ? (
        <Segments
          label="Whose"
          value={search.mine ?? false}
          choices={WHOSE}
          onChange={(mine) => onSearch({ mine: mine || undefined })}
        />
      ) : null}
      <span aria-live="polite" className="ml-auto text-xs text-muted">
        {list ? summary(shown, list) : ""}
      </span>
    </div>
  );
}

function summary(shown: number, { sessions, total }: SessionList): string {
  const open = `${total.toLocaleString()} open`;
  if (total > sessions.length) return `the newest ${sessions.length.toLocaleString()} of ${open}`;
  return shown === total ? open : `${shown.toLocaleString()} of ${open}`;
}

const WHOSE = [
  { name: "Everybody’s", value: false },
  { name: "Mine", value: true },
] as const;

interface NoneProps {
  q: string;
  mine: boolean;
  everybodys: boolean;
  onSearch(change: SessionsSearch): void;
}

function None({ q, mine, everybodys, onSearch }: NoneProps) {
  if (q) {
    return (
      <Empty
        title="No shell matches"
        actions={<Button onClick={() => onSearch({ q: undefined })}>Clear the filter</Button>}
      >
        <p>No open shell contains “{q}” in its pod, place, person or reason.</p>
      </Empty>
    );
  }
  const onlyMine = mine || !everybodys;
  return (
    <Empty
      title={onlyMine ? "You have no shell open" : "No shell is open"}
      actions={
        <Link to="/clusters" className={buttonClass()}>
          Show the clusters
        </Link>
      }
    >
      <p>Open one in a pod; it appears here by itself, and can be ended from here.</p>
    </Empty>
  );
}
