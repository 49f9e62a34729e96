import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { mintAgentToken } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { agentsQuery, clustersQuery } from "../../api/queries.ts";
import { reachOf } from "../../lib/link.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FaultNote } from "../../ui/states.tsx";
import { type AgentRow, beforeOf } from "./agents.ts";
import { Enrolment } from "./Enrolment.tsx";
import { HowToName } from "./HowToName.tsx";

interface AddClusterDialogProps {
  rows: readonly AgentRow[];
  /** Chosen already; empty where it is to be chosen. */
  wanted: string;
  onClose(): void;
}

/** Chooses a cluster, makes a token for its agent, and stays until the agent is there. */
export function AddClusterDialog({ rows, wanted, onClose }: AddClusterDialogProps) {
  const queries = useQueryClient();
  const can = rows.filter(({ found }) => found);
  const [chosen, setChosen] = useState(() => firstChoice(can, wanted));
  const mint = useMutation({
    mutationFn: async (cluster: string) => {
      // What is there now is compared with what comes; the cache may lag behind by its interval.
      const [{ agents }, clusters] = await Promise.all([
        queries.fetchQuery({ ...agentsQuery(), staleTime: 0 }),
        queries.fetchQuery({ ...clustersQuery(), staleTime: 0 }),
      ]);
      const agent = agents.find((one) => one.cluster === cluster);
      const link = clusters.find(({ name }) => name === cluster)?.link;
      return { token: await mintAgentToken(cluster), before: beforeOf(agent, link) };
    },
    // The answer holds the token: it is gone with the dialog.
    gcTime: 0,
  });
  if (mint.data) {
    return (
      <Modal
        onClose={onClose}
        width="max-w-2xl"
        title={`Connect ${mint.data.token.cluster}`}
        description="It takes one command, with a token that is shown this once, works once, and for this cluster alone."
      >
        <Enrolment
          key={mint.data.token.id}
          minted={mint.data.token}
          before={mint.data.before}
          again={() => mint.mutate(mint.data.token.cluster)}
          onClose={onClose}
        />
      </Modal>
    );
  }
  return (
    <Modal
      onClose={onClose}
      width="max-w-2xl"
      title="Add cluster"
      description="An agent in the cluster dials out to this server. A token lets it in."
    >
      {mint.isError ? <FaultNote lead="No token was made." fault={explain(mint.error)} /> : null}
      {can.length === 0 ? <HowToName first={false} /> : <Choice rows={can} chosen={chosen} onChoose={setChosen} />}
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onClose}>{can.length === 0 ? "Close" : "Cancel"}</Button>
        {can.length > 0 ? (
          <Button look="primary" disabled={!chosen || mint.isPending} onClick={() => mint.mutate(chosen)}>
            {mint.isPending ? "Making" : "Make token"}
          </Button>
        ) : null}
      </div>
    </Modal>
  );
}

/** What was asked for; else the only one that waits for an agent. */
function firstChoice(rows: readonly AgentRow[], wanted: string): string {
  if (rows.some(({ cluster }) => cluster === wanted)) return wanted;
  const waiting = rows.filter(({ agent }) => !agent);
  return waiting.length === 1 ? (waiting[0]?.cluster ?? "") : "";
}

interface ChoiceProps {
  rows: readonly AgentRow[];
  chosen: string;
  onChoose(cluster: string): void;
}

function Choice({ rows, chosen, onChoose }: ChoiceProps) {
  const taken = rows.find(({ cluster, agent }) => cluster === chosen && agent);
  return (
    <>
      <fieldset className="min-w-0">
        <legend className="mb-1 text-xs font-medium text-muted">Cluster</legend>
        <div className="max-h-60 overflow-auto rounded-md border border-line">
          {rows.map((row) => (
            <label
              key={row.cluster}
              className="flex min-h-9 items-center gap-2.5 border-b border-line px-3 py-1 last:border-0 hover:bg-hover has-checked:bg-accent-soft"
            >
              <input
                type="radio"
                name="cluster"
                checked={chosen === row.cluster}
                onChange={() => onChoose(row.cluster)}
                className="accent-(--accent-solid)"
              />
              <span className="min-w-0 flex-1 truncate font-mono text-xs">{row.cluster}</span>
              <span className="text-xs text-muted">{stateOf(row)}</span>
            </label>
          ))}
        </div>
      </fieldset>
      {taken ? (
        <p className="mt-2 text-xs text-muted">
          It has an agent already. A new one takes its place once it connects; the certificate of the old one holds
          until it ends or is revoked.
        </p>
      ) : null}
      <details className="group mt-4">
        <summary className="flex w-fit cursor-pointer list-none items-center gap-1 rounded text-sm text-muted hover:text-text">
          <ChevronRight aria-hidden className="size-3.5 group-open:rotate-90" />A cluster that is not listed
        </summary>
        <div className="mt-3">
          <HowToName first={false} />
        </div>
      </details>
    </>
  );
}

function stateOf({ agent, found }: AgentRow): string {
  if (!agent) return "no agent yet";
  return found ? reachOf(found).word.toLowerCase() : "";
}
