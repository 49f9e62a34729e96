import { useQuery } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, Info, LoaderCircle } from "lucide-react";
import { useState } from "react";
import { agentsQuery, clustersQuery } from "../../api/queries.ts";
import type { AgentToken, Cluster } from "../../api/types.ts";
import { clock } from "../../lib/clock.ts";
import { formatClock } from "../../lib/time.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { Segments } from "../../ui/Segments.tsx";
import { useStore } from "../../ui/useStore.ts";
import {
  type Before,
  breakCommand,
  likelyTopology,
  type Progress,
  progressOf,
  TOPOLOGIES,
  type Topology,
} from "./agents.ts";
import { Snippet } from "./Snippet.tsx";

/** Somebody looks at the page and waits. */
const WATCH_MS = 2_000;

interface EnrolmentProps {
  minted: AgentToken;
  /** How it stood with the cluster before. */
  before: Before;
  /** Makes another token. */
  again(): void;
  onClose(): void;
}

/** The one time that a token is shown, until its agent is there. */
export function Enrolment({ minted, before, again, onClose }: EnrolmentProps) {
  const [key, setKey] = useState(() => likelyTopology(window.location.protocol));
  const left = Date.parse(minted.expiresAt) - useStore(clock);
  const { progress, link } = useProgress(minted.cluster, before, left <= 0);
  return (
    <>
      {progress === "expired" ? null : (
        <Commands minted={minted} which={key} onWhich={setKey} primary={progress === "waiting"} />
      )}
      <Live progress={progress} link={link} left={left} />
      <div className="mt-4 flex flex-wrap justify-end gap-2">
        <Button look={progress === "connected" ? "primary" : "plain"} onClick={onClose}>
          {progress === "expired" ? "Close" : "Done"}
        </Button>
        {progress === "expired" ? (
          <Button look="primary" onClick={again}>
            Make another token
          </Button>
        ) : null}
      </div>
    </>
  );
}

interface CommandsProps {
  minted: AgentToken;
  which: Topology["key"];
  onWhich(key: Topology["key"]): void;
  /** To copy it is what is to be done next. */
  primary: boolean;
}

/** The command for each way to the server, and the parts that it is made of. */
function Commands({ minted, which, onWhich, primary }: CommandsProps) {
  return (
    <>
      <div className="flex">
        <Segments
          label="How the agent reaches the server"
          value={which}
          choices={TOPOLOGIES.map(({ key: value, name }) => ({ name, value }))}
          onChange={onWhich}
        />
      </div>
      <p className="mt-2 mb-3 min-h-8 text-xs text-muted">{TOPOLOGIES.find(({ key }) => key === which)?.fits}</p>
      <Snippet name="Command" text={breakCommand(minted.commands[which])} primary={primary} testId="agent-command" />
      <p className="mt-2 text-xs text-muted">
        Run it in a pod of the cluster, or beside it with{" "}
        <code className="font-mono whitespace-nowrap">--kubeconfig FILE</code> behind it.
      </p>
      <dl className="mt-4 grid grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-3 gap-y-1 text-xs">
        <Fact name="Token" value={minted.token} />
        <Fact name="Pin" value={minted.caHash} />
      </dl>
    </>
  );
}

function useProgress(cluster: string, before: Before, expired: boolean) {
  const agents = useQuery({ ...agentsQuery(), refetchInterval: WATCH_MS }).data?.agents ?? [];
  const clusters = useQuery({ ...clustersQuery(), refetchInterval: WATCH_MS }).data ?? [];
  const agent = agents.find((one) => one.cluster === cluster);
  const link = clusters.find(({ name }) => name === cluster)?.link ?? null;
  return { progress: progressOf(before, { agent, link, expired }), link };
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt className="font-medium text-muted">{name}</dt>
      <dd className="truncate font-mono" title={value}>
        {value}
      </dd>
      <dd>
        <CopyButton text={value} what={name === "Pin" ? "the pin" : "the token"} />
      </dd>
    </>
  );
}

const LOOKS: Record<Progress, string> = {
  waiting: "border-line bg-bg",
  registered: "border-transparent bg-info-soft text-info",
  connected: "border-transparent bg-ok-soft text-ok",
  expired: "border-transparent bg-attention-soft text-attention",
};

const WORDS: Record<Progress, string> = {
  waiting: "Waiting for the agent",
  registered: "The agent has registered. Its link comes next; if it does not, see the agent’s log",
  connected: "Connected",
  expired: "The token has expired, and no agent has registered by it",
};

const ICONS = { waiting: LoaderCircle, registered: Info, connected: CircleCheck, expired: CircleAlert };

/** How far the agent has come. What ticks stands outside of what is read aloud. */
function Live({ progress, link, left }: { progress: Progress; link: Cluster["link"]; left: number }) {
  const Icon = ICONS[progress];
  return (
    <div
      className={`mt-4 flex flex-wrap items-center gap-x-2 gap-y-1 rounded-md border px-3 py-2 text-sm ${LOOKS[progress]}`}
    >
      <Icon
        aria-hidden
        className={`size-4 shrink-0 ${progress === "waiting" ? "animate-spin motion-reduce:animate-none" : ""}`}
      />
      <p
        role="status"
        className={`min-w-0 font-medium ${progress === "connected" ? "" : "flex-1 basis-40"}`}
        data-testid="agent-progress"
      >
        {WORDS[progress]}
        {progress === "connected" && link?.agentVersion ? `, agent ${link.agentVersion}` : ""}
      </p>
      {progress === "connected" && link?.since ? (
        <span>
          <Age at={link.since} suffix=" ago" />
        </span>
      ) : null}
      {progress === "waiting" ? (
        <span role="timer" aria-label="Time until the token expires" className="ml-auto text-xs text-muted">
          Token expires in <span className="font-mono">{formatClock(left)}</span>
        </span>
      ) : null}
    </div>
  );
}
