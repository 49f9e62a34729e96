import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useMemo } from "react";
import { explain, explainStale } from "../../api/explain.ts";
import { execRightsQuery, namespacesQuery, podsQuery } from "../../api/queries.ts";
import { SHELLS_OFF, whyNoShell } from "../../api/shells.ts";
import type { Cluster, PodSummary } from "../../api/types.ts";
import { notify } from "../../lib/notice.ts";
import { filterPods } from "../../lib/podFilter.ts";
import { Button } from "../../ui/Button.tsx";
import { LinkBar } from "../../ui/LinkBar.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Empty, Fault, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { formatSort, parseSort } from "./columns.ts";
import { PodTable } from "./PodTable.tsx";
import { Toolbar } from "./Toolbar.tsx";
import { useChanges } from "./useChanges.ts";
import { useColumns } from "./useColumns.ts";

/** What the address says about the list. */
export interface PodsSearch {
  ns?: string;
  q?: string;
  sort?: string;
}

export interface PodsPageProps {
  cluster: Cluster;
  search: PodsSearch;
  onSearch(change: PodsSearch): void;
  who: string;
  /** Of whoever is signed in; empty where there are no tiers. */
  tier: string;
  onOpenShell(pod: PodSummary): void;
}

export function PodsPage({ cluster, search, onSearch, who, tier, onOpenShell }: PodsPageProps) {
  const { ns = "", q = "", sort = "" } = search;
  const navigate = useNavigate();
  const { query: list, waiting, failure } = useAsked(podsQuery(cluster.name, ns));
  const namespaces = useAsked(namespacesQuery(cluster.name));
  const incomplete = namespaces.failure !== null || namespaces.query.isRefetchError;
  const names = namespaces.query.data?.map((namespace) => namespace.name) ?? [];
  // Kubernetes lists the pods of a namespace that is not there as it does those of an empty one.
  const unknown = ns !== "" && names.length > 0 && !incomplete && !names.includes(ns);
  const filter = useDeferredValue(q);
  const shownPods = useMemo(() => filterPods(list.data ?? [], filter), [list.data, filter]);
  const changed = useChanges(list.data, `${cluster.name}/${ns}`);
  const { shown, toggle } = useColumns();
  const rights = useExecRights(cluster.name, ns, list.data);
  const whyNot = (pod: PodSummary) => whyNoShell(cluster, pod, rights, tier);

  const openShell = (pod: PodSummary) => {
    const why = whyNot(pod);
    if (why) notify(why);
    else onOpenShell(pod);
  };
  const openPod = (pod: PodSummary) =>
    void navigate({
      to: "/clusters/$cluster/pods/$namespace/$pod",
      params: { cluster: cluster.name, namespace: pod.namespace, pod: pod.name },
    });

  return (
    <div className="flex h-full min-h-0 flex-col">
      <Toolbar
        search={search}
        onSearch={onSearch}
        namespaces={names}
        namespacesIncomplete={incomplete}
        count={list.data ? { shown: shownPods.length, all: list.data.length } : null}
        note={cluster.execEnabled ? "" : SHELLS_OFF}
        columns={{ shown, toggle }}
      />
      <LinkBar cluster={cluster.name} link={cluster.link} shown={list.data !== undefined} />
      <Stale
        what="The pods"
        at={list.dataUpdatedAt}
        fault={explainStale(list, cluster.link)}
        retry={() => void list.refetch()}
      />
      {list.data && shownPods.length > 0 ? (
        <PodTable
          key={cluster.name}
          cluster={cluster.name}
          namespace={ns}
          pods={shownPods}
          shown={ns ? shown.filter((id) => id !== "namespace") : shown}
          sort={parseSort(sort)}
          onSort={(next) => onSearch({ sort: formatSort(next) })}
          changed={changed}
          shells={cluster.execEnabled}
          whyNoShell={whyNot}
          onOpenShell={openShell}
          onOpenPod={openPod}
        />
      ) : null}
      {list.data && shownPods.length === 0 ? <NoPods ns={ns} unknown={unknown} q={q} onSearch={onSearch} /> : null}
      {waiting ? <Skeleton rows={14} label="Loading pods" /> : null}
      {failure ? <Fault fault={explainList(failure, ns)} who={who} retry={() => list.refetch()} /> : null}
    </div>
  );
}

/** Whoever may not list all namespaces can often list one. */
function explainList(error: unknown, ns: string) {
  const fault = explain(error);
  if (fault.kind !== "forbidden" || ns) return fault;
  return { ...fault, next: "Or choose a namespace above: you may be allowed to see a single one." };
}

function useExecRights(cluster: string, ns: string, pods: readonly PodSummary[] | undefined) {
  const namespaces = useMemo(
    () => (ns ? [ns] : [...new Set((pods ?? []).map((pod) => pod.namespace))].sort()),
    [ns, pods],
  );
  return useQuery({ ...execRightsQuery(cluster, namespaces), enabled: pods !== undefined }).data;
}

interface NoPodsProps {
  ns: string;
  /** The cluster has no such namespace. */
  unknown: boolean;
  q: string;
  onSearch(change: PodsSearch): void;
}

function NoPods({ ns, unknown, q, onSearch }: NoPodsProps) {
  const all = <Button onClick={() => onSearch({ ns: undefined })}>Show all namespaces</Button>;
  if (unknown) {
    return (
      <Empty title={`There is no namespace ${ns}`} actions={all}>
        <p>This cluster does not have it, or not any more. Check how it is written, or choose another one above.</p>
      </Empty>
    );
  }
  if (q) {
    return (
      <Empty
        title="No pod matches"
        actions={<Button onClick={() => onSearch({ q: undefined })}>Clear the filter</Button>}
      >
        <p>Nothing here contains “{q}” in its name, namespace, status, node or address.</p>
      </Empty>
    );
  }
  return (
    <Empty title={ns ? `No pods in ${ns}` : "No pods in this cluster"} actions={ns ? all : null}>
      <p>They appear here by themselves as soon as something runs.</p>
    </Empty>
  );
}
