import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { PodSummary } from "../../api/types.ts";
import { podTone } from "../../lib/podStatus.ts";
import { Age } from "../../ui/Age.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { Status } from "../../ui/Status.tsx";
import type { ColumnId } from "./columns.ts";

export function PodLink({ cluster, pod }: { cluster: string; pod: PodSummary }) {
  return (
    <Link
      to="/clusters/$cluster/pods/$namespace/$pod"
      params={{ cluster, namespace: pod.namespace, pod: pod.name }}
      className="truncate font-mono text-xs hover:text-accent hover:underline"
      title={pod.name}
    >
      {pod.name}
    </Link>
  );
}

export function Ready({ pod }: { pod: PodSummary }) {
  const short = pod.readyContainers < pod.totalContainers && pod.phase !== "Succeeded";
  return (
    <span className={`font-mono text-xs ${short ? "text-attention" : ""}`}>
      {pod.readyContainers}/{pod.totalContainers}
    </span>
  );
}

export function Restarts({ pod }: { pod: PodSummary }) {
  if (pod.restarts === 0) return <span className="font-mono text-xs text-muted">0</span>;
  return (
    <span className="truncate font-mono text-xs">
      {pod.restarts}
      {pod.lastRestartAt ? (
        <span className="text-muted">
          {" "}
          (<Age at={pod.lastRestartAt} />)
        </span>
      ) : null}
    </span>
  );
}

const CELLS: Record<ColumnId, (pod: PodSummary, cluster: string) => ReactNode> = {
  name: (pod, cluster) => (
    <>
      <PodLink cluster={cluster} pod={pod} />
      <CopyButton quiet text={pod.name} what="pod name" />
    </>
  ),
  namespace: (pod) => <span className="truncate font-mono text-xs text-muted">{pod.namespace}</span>,
  status: (pod) => (
    <span className="flex min-w-0 text-sm">
      <Status tone={podTone(pod)} word={pod.status} />
    </span>
  ),
  ready: (pod) => <Ready pod={pod} />,
  restarts: (pod) => <Restarts pod={pod} />,
  age: (pod) => (
    <span className="font-mono text-xs text-muted">
      <Age at={pod.createdAt} />
    </span>
  ),
  node: (pod) => <span className="truncate font-mono text-xs text-muted">{pod.node || "–"}</span>,
  ip: (pod) => <span className="truncate font-mono text-xs text-muted">{pod.ip || "–"}</span>,
};

export function cell(id: ColumnId, pod: PodSummary, cluster: string): ReactNode {
  return CELLS[id](pod, cluster);
}
