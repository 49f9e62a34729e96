import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { explain } from "../../api/explain.ts";
import { sessionsQuery } from "../../api/queries.ts";
import type { ExecSession } from "../../api/types.ts";
import { buttonClass } from "../../ui/Button.tsx";
import { Empty, Fault, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { parseSort, sortSessions } from "./columns.ts";
import { EndDialog } from "./EndDialog.tsx";
import { SessionTable } from "./SessionTable.tsx";
import { TakeOverDialog } from "./TakeOverDialog.tsx";

const COLUMNS = ["pod", "reason", "state", "started", "idle"] as const;

interface OwnShellsProps {
  isHere(sessionId: string): boolean;
  onOpenHere(session: ExecSession): void;
}

/** One's own shells, as part of another page. */
export function OwnShells({ isHere, onOpenHere }: OwnShellsProps) {
  const { query: list, waiting, failure } = useAsked(sessionsQuery());
  const navigate = useNavigate();
  const [sort, setSort] = useState(() => parseSort(""));
  const [ending, setEnding] = useState<ExecSession | null>(null);
  const [taking, setTaking] = useState<ExecSession | null>(null);
  const own = useMemo(
    () => sortSessions(list.data?.sessions.filter((session) => session.own) ?? [], sort),
    [list.data, sort],
  );
  if (waiting) return <Skeleton rows={2} label="Loading your shells" />;
  if (failure) return <Fault fault={explain(failure)} retry={() => list.refetch()} />;
  return (
    <div className="overflow-hidden rounded-lg border border-line bg-surface">
      {own.length > 0 ? (
        <SessionTable
          sessions={own}
          everybodys={false}
          columns={COLUMNS}
          sort={sort}
          onSort={setSort}
          isHere={isHere}
          onEnd={setEnding}
          onOpenHere={(session) => (session.state === "attached" ? setTaking(session) : onOpenHere(session))}
          onOpenPod={({ cluster, namespace, pod }) =>
            void navigate({ to: "/clusters/$cluster/pods/$namespace/$pod", params: { cluster, namespace, pod } })
          }
        />
      ) : (
        <Empty
          title="You have no shell open"
          actions={
            <Link to="/clusters" className={buttonClass()}>
              Show the clusters
            </Link>
          }
        >
          <p>Open one in a pod; it appears here by itself, and can be ended from here.</p>
        </Empty>
      )}
      {ending ? <EndDialog session={ending} here={isHere(ending.sessionId)} onClose={() => setEnding(null)} /> : null}
      {taking ? <TakeOverDialog session={taking} onClose={() => setTaking(null)} onTakeOver={onOpenHere} /> : null}
    </div>
  );
}
