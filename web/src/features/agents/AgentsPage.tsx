import { useQuery } from "@tanstack/react-query";
import { Plus, Waypoints } from "lucide-react";
import { useState } from "react";
import { explain } from "../../api/explain.ts";
import { asFault } from "../../api/fault.ts";
import { agentsQuery, clustersQuery } from "../../api/queries.ts";
import { Button } from "../../ui/Button.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Fault, Message, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { AddClusterDialog } from "./AddClusterDialog.tsx";
import { AgentTable } from "./AgentTable.tsx";
import { type AgentRow, rowsOf } from "./agents.ts";
import { HowToName } from "./HowToName.tsx";
import { RevokeAgentDialog } from "./RevokeAgentDialog.tsx";
import { WaitingTokens } from "./WaitingTokens.tsx";

interface AgentsPageProps {
  who: string;
  /** The cluster that is being added, "" for one that is still to be chosen; undefined: none is. */
  adding: string | undefined;
  onAdd(cluster: string | undefined): void;
}

/** The agents by which clusters dial out to this server, for administrators. */
export function AgentsPage({ who, adding, onAdd }: AgentsPageProps) {
  const { query: list, waiting, failure } = useAsked(agentsQuery());
  const clusters = useQuery(clustersQuery());
  const [revoking, setRevoking] = useState<AgentRow | null>(null);
  const none = asFault(failure ?? list.error).status === 404;
  const rows = list.data && !none ? rowsOf(list.data.agents, clusters.data ?? []) : undefined;
  return (
    <div className="h-full overflow-auto">
      <Stale
        what="The agents"
        at={list.dataUpdatedAt}
        fault={list.isRefetchError && !none ? explain(list.error) : null}
        retry={() => void list.refetch()}
      />
      <div className="mx-auto max-w-6xl px-4 py-5">
        <header className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
          <h1 className="text-xl font-semibold">Agents</h1>
          {none ? null : (
            <Button look="primary" className="ml-auto" disabled={!rows} onClick={() => onAdd("")}>
              <Plus aria-hidden className="size-4" />
              Add cluster
            </Button>
          )}
        </header>
        <p className="mb-4 max-w-3xl text-sm text-muted">
          A cluster that this server cannot reach runs an agent, which dials out to here and keeps one link. Everybody
          acts over it as themselves, with the same rights and audit as anywhere.
        </p>
        {none ? <Nothing first /> : null}
        {rows?.length === 0 && clusters.data ? <Nothing first={false} /> : null}
        {rows && rows.length > 0 ? (
          <AgentTable rows={rows} clustersKnown={clusters.data !== undefined} onAdd={onAdd} onRevoke={setRevoking} />
        ) : null}
        {list.data && !none ? <WaitingTokens tokens={list.data.tokens} /> : null}
        {waiting ? <Skeleton rows={3} label="Loading agents" /> : null}
        {failure && !none ? <Fault fault={explain(failure)} who={who} retry={() => list.refetch()} /> : null}
      </div>
      {adding !== undefined && rows && clusters.data ? (
        <AddClusterDialog key={adding} rows={rows} wanted={adding} onClose={() => onAdd(undefined)} />
      ) : null}
      {revoking ? <RevokeAgentDialog row={revoking} onClose={() => setRevoking(null)} /> : null}
    </div>
  );
}

function Nothing({ first }: { first: boolean }) {
  return (
    <div className="rounded-lg border border-line bg-surface">
      <Message icon={<Waypoints aria-hidden />} title="No cluster is reached through an agent">
        <div className="w-full max-w-md">
          <HowToName first={first} />
        </div>
      </Message>
    </div>
  );
}
