import { Link } from "@tanstack/react-router";
import { explain } from "../../api/explain.ts";
import { clustersQuery } from "../../api/queries.ts";
import type { Cluster } from "../../api/types.ts";
import { lackTone, linkWords, reachOf } from "../../lib/link.ts";
import { Age } from "../../ui/Age.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Status } from "../../ui/Status.tsx";
import { Empty, Fault, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";

interface ClustersPageProps {
  who: string;
  /** May see to agents. */
  admin: boolean;
}

export function ClustersPage({ who, admin }: ClustersPageProps) {
  const { query: list, waiting, failure } = useAsked(clustersQuery());
  return (
    <div className="h-full overflow-auto">
      <Stale
        what="The clusters"
        at={list.dataUpdatedAt}
        fault={list.isRefetchError ? explain(list.error) : null}
        retry={() => void list.refetch()}
      />
      <div className="mx-auto max-w-6xl px-4 py-5">
        <header className="mb-3 flex items-baseline gap-3">
          <h1 className="text-xl font-semibold">Clusters</h1>
          <p className="text-sm text-muted">{list.data ? summary(list.data) : ""}</p>
        </header>
        {list.data && list.data.length > 0 ? <ClusterList clusters={list.data} admin={admin} /> : null}
        {list.data?.length === 0 ? (
          <Empty title="No clusters yet">
            <p>
              Start the server with <code className="font-mono text-xs">--kubeconfig FILE</code>, or name them in
              clusters.yaml.
            </p>
          </Empty>
        ) : null}
        {waiting ? <Skeleton rows={4} label="Loading clusters" /> : null}
        {failure ? <Fault fault={explain(failure)} who={who} retry={() => list.refetch()} /> : null}
      </div>
    </div>
  );
}

/** "3 connected", "2 of 3 connected · 1 reconnecting". */
export function summary(clusters: readonly Pick<Cluster, "connected" | "link">[]): string {
  const words = clusters.map((cluster) => reachOf(cluster).word);
  const count = (wanted: string) => words.filter((word) => word === wanted).length;
  const [up, coming] = [count("Connected"), count("Reconnecting")];
  const first = up === clusters.length ? `${up} connected` : `${up} of ${clusters.length} connected`;
  return coming > 0 ? `${first} · ${coming} reconnecting` : first;
}

function ClusterList({ clusters, admin }: { clusters: Cluster[]; admin: boolean }) {
  return (
    <ul aria-label="Clusters" className="overflow-hidden rounded-lg border border-line bg-surface">
      {clusters.map((cluster) => (
        <ClusterRow key={cluster.name} cluster={cluster} admin={admin} />
      ))}
    </ul>
  );
}

function ClusterRow({ cluster, admin }: { cluster: Cluster; admin: boolean }) {
  const { name, backend, region, version, execEnabled, link } = cluster;
  return (
    <li className="relative border-b border-line last:border-0 hover:bg-hover">
      <div className="grid grid-cols-[minmax(0,1fr)_auto] items-start gap-x-6 gap-y-1 px-4 py-3 sm:items-center sm:grid-cols-[minmax(0,2fr)_minmax(0,1.4fr)_7rem_9rem]">
        <div className="min-w-0">
          <Link
            to="/clusters/$cluster"
            params={{ cluster: name }}
            className="block truncate font-mono text-sm font-bold after:absolute after:inset-0"
          >
            {name}
          </Link>
          <p className="truncate text-xs text-muted">
            {[backend, region, link?.agentVersion].filter(Boolean).join(" · ")}
          </p>
        </div>
        <Tags cluster={cluster} />
        <span className={`font-mono text-xs text-muted ${version ? "max-sm:order-last" : "max-sm:hidden"}`}>
          {version || "–"}
        </span>
        <div className="text-sm max-sm:text-right">
          <State cluster={cluster} />
          {execEnabled ? null : <p className="text-xs text-muted">Shells are off</p>}
        </div>
      </div>
      <Trouble cluster={cluster} admin={admin} />
    </li>
  );
}

function State({ cluster }: { cluster: Cluster }) {
  const { tone, word, since } = reachOf(cluster);
  return (
    <>
      <Status tone={tone} word={word} />
      {cluster.link?.state === "away" && !since ? <p className="text-xs text-muted">no agent yet</p> : null}
      {since ? (
        <p className="text-xs text-muted">
          for <Age at={since} />
        </p>
      ) : null}
    </>
  );
}

/** What is wrong and what to do, for a cluster that is not simply there. */
function Trouble({
  cluster: { name, connected, link, message, checkedAt },
  admin,
}: {
  cluster: Cluster;
  admin: boolean;
}) {
  const words = linkWords(link);
  if (link && words) {
    return (
      <p className={`px-4 pb-3 text-sm ${lackTone(link) === "broken" ? "text-broken" : "text-attention"}`}>
        {words}
        {admin && link.state === "away" ? (
          <>
            {" "}
            <Link
              to="/agents"
              className="relative z-10 text-accent underline"
              aria-label={`Agents: see to that of ${name}`}
            >
              Agents
            </Link>
          </>
        ) : null}
      </p>
    );
  }
  if (connected) return null;
  return (
    <p className="px-4 pb-3 text-sm text-broken">
      {message || "The cluster does not answer."}
      {checkedAt ? (
        <span className="text-muted">
          {" "}
          Checked <Age at={checkedAt} suffix=" ago" />.
        </span>
      ) : null}
    </p>
  );
}

function Tags({ cluster }: { cluster: Cluster }) {
  const tags = Object.entries(cluster.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const all = cluster.environment ? [cluster.environment, ...tags] : tags;
  return (
    <div className="flex min-w-0 flex-wrap gap-1 max-sm:hidden">
      {all.map((tag) => (
        <span key={tag} className="truncate rounded border border-line bg-sunken px-1.5 font-mono text-xs text-muted">
          {tag}
        </span>
      ))}
    </div>
  );
}
