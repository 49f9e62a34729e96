import { usePrefetchQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ServerOff } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useRef } from "react";
import { explain } from "../api/explain.ts";
import { clustersQuery, featuresQuery, podQuery, podsQuery } from "../api/queries.ts";
import type { Cluster } from "../api/types.ts";
import { CommandLoginPage } from "../features/account/CommandLoginPage.tsx";
import { SessionsOfYours } from "../features/account/SessionsOfYours.tsx";
import { TokensPage } from "../features/account/TokensPage.tsx";
import { ClustersPage } from "../features/clusters/ClustersPage.tsx";
import { requestShell } from "../features/dock/request.ts";
import { openHere } from "../features/dock/restore.ts";
import { liveShells } from "../features/dock/store.ts";
import { PodPage } from "../features/pod/PodPage.tsx";
import { PodsPage } from "../features/pods/PodsPage.tsx";
import { OwnShells } from "../features/sessions/OwnShells.tsx";
import { SessionsPage } from "../features/sessions/SessionsPage.tsx";
import { SettingsPage } from "../features/settings/SettingsPage.tsx";
import type { AgentLink } from "../lib/link.ts";
import { buttonClass } from "../ui/Button.tsx";
import { Fault, Message, Skeleton } from "../ui/states.tsx";
import { useAsked } from "../ui/useAsked.ts";
import { askSignOutEverywhere, leave } from "./leave.tsx";
import { useTitle } from "./useTitle.ts";

/** Each route hands its page what the address says and what other features do for it. */
const root = getRouteApi("__root__");
const clusterApi = getRouteApi("/clusters/$cluster");
const sessionsApi = getRouteApi("/sessions");
const tokensApi = getRouteApi("/account/tokens");
const agentsApi = getRouteApi("/agents");
const commandLoginApi = getRouteApi("/cli");
const podApi = getRouteApi("/clusters/$cluster/pods/$namespace/$pod");

/** Whose rights these are, for a refusal to say. */
function useWho(): string {
  const { who } = root.useRouteContext();
  const name = who.email || who.subject;
  return who.tier ? `${name}, tier ${who.tier}` : name;
}

function useTier(): string {
  return root.useRouteContext().who.tier;
}

export function ClustersRoute() {
  useTitle("Clusters");
  return <ClustersPage who={useWho()} admin={root.useRouteContext().who.admin} />;
}

export function ClusterRoute() {
  const { cluster: name } = clusterApi.useParams();
  const search = clusterApi.useSearch();
  useTitle(name);
  // Beside the list of clusters that the page waits for, not after it.
  usePrefetchQuery(podsQuery(name, search.ns ?? ""));
  const navigate = clusterApi.useNavigate();
  const [who, tier] = [useWho(), useTier()];
  return (
    <WithCluster name={name} who={who}>
      {(cluster) => (
        <PodsPage
          cluster={cluster}
          search={search}
          who={who}
          tier={tier}
          onSearch={(change) => void navigate({ search: (before) => ({ ...before, ...change }), replace: true })}
          onOpenShell={(pod) => requestShell({ cluster, pod })}
        />
      )}
    </WithCluster>
  );
}

export function PodRoute() {
  const params = podApi.useParams();
  useTitle(params.pod, params.cluster);
  usePrefetchQuery(podQuery(params));
  const { tab = "containers" } = podApi.useSearch();
  const navigate = podApi.useNavigate();
  const [who, tier] = [useWho(), useTier()];
  return (
    <WithCluster name={params.cluster} who={who}>
      {(cluster) => (
        <PodPage
          key={`${params.cluster}/${params.namespace}/${params.pod}`}
          cluster={cluster}
          target={params}
          tab={tab}
          who={who}
          tier={tier}
          onTab={(next) => void navigate({ search: { tab: next === "containers" ? undefined : next }, replace: true })}
          onOpenShell={(pod, container) => requestShell({ cluster, pod, container })}
          onDebug={(pod, container, debug) => requestShell({ cluster, pod, container, debug })}
          onGone={() =>
            void navigate({
              to: "/clusters/$cluster",
              params: { cluster: params.cluster },
              search: { ns: params.namespace },
            })
          }
        />
      )}
    </WithCluster>
  );
}

export function SessionsRoute() {
  useTitle("Sessions");
  const navigate = sessionsApi.useNavigate();
  return (
    <SessionsPage
      search={sessionsApi.useSearch()}
      onSearch={(change) => void navigate({ search: (before) => ({ ...before, ...change }), replace: true })}
      who={useWho()}
      isHere={isHere}
      onOpenHere={openHere}
    />
  );
}

/** Whether a shell runs in this very window. */
const isHere = (id: string) => liveShells().some((shell) => shell.sessionId === id);

export function AccountSessionsRoute() {
  useTitle("Your sessions");
  return (
    <SessionsOfYours
      who={useWho()}
      shells={<OwnShells isHere={isHere} onOpenHere={openHere} />}
      onSignOut={leave}
      onSignOutEverywhere={askSignOutEverywhere}
    />
  );
}

export function TokensRoute() {
  useTitle("Access tokens");
  const navigate = tokensApi.useNavigate();
  return (
    <TokensPage
      who={useWho()}
      offered={useQuery(featuresQuery()).data?.tokens ?? false}
      everybody={tokensApi.useSearch().everybody ?? false}
      onEverybody={(everybody) => void navigate({ search: { everybody: everybody || undefined }, replace: true })}
    />
  );
}

/** Few people ever need it: it is loaded by whoever goes there. */
const AgentsPage = lazy(async () => ({ default: (await import("../features/agents/AgentsPage.tsx")).AgentsPage }));

export function AgentsRoute() {
  useTitle("Agents");
  const navigate = agentsApi.useNavigate();
  return (
    <Suspense fallback={<Skeleton rows={3} label="Loading agents" />}>
      <AgentsPage
        who={useWho()}
        adding={agentsApi.useSearch().add}
        onAdd={(add) => void navigate({ search: { add }, replace: true })}
      />
    </Suspense>
  );
}

export function CommandLoginRoute() {
  useTitle("Sign in from a command line");
  const { ask = "" } = commandLoginApi.useSearch();
  return <CommandLoginPage key={ask} who={useWho()} ask={ask} goTo={(address) => window.location.assign(address)} />;
}

export function SettingsRoute() {
  useTitle("Settings");
  const { who } = root.useRouteContext();
  const features = useQuery(featuresQuery()).data;
  return (
    <SettingsPage
      who={who}
      version={features?.version ?? ""}
      hiddenSeconds={features?.exec.clientHiddenSeconds ?? 0}
      onSignOut={leave}
    />
  );
}

function WithCluster({ name, who, children }: { name: string; who: string; children(cluster: Cluster): ReactNode }) {
  const { query: list, waiting, failure } = useAsked(clustersQuery());
  const cluster = list.data?.find((candidate) => candidate.name === name);
  useComeback(name, cluster?.link?.state);
  if (waiting) return <Skeleton rows={12} label="Loading the cluster" />;
  if (failure) return <Fault fault={explain(failure)} who={who} retry={() => list.refetch()} />;
  if (cluster) return children(cluster);
  return (
    <Message
      icon={<ServerOff aria-hidden />}
      title={`There is no cluster called ${name}`}
      actions={
        <Link to="/clusters" className={buttonClass()}>
          Show the clusters
        </Link>
      }
    >
      <p>It may have been renamed or removed, or you may not see it.</p>
    </Message>
  );
}

/** Asks for all of a cluster's anew as soon as its agent is back: a long list would wait half a minute for its turn. */
function useComeback(name: string, state: AgentLink["state"] | undefined): void {
  const queries = useQueryClient();
  const before = useRef(state);
  useEffect(() => {
    const back = state === "connected" && before.current !== undefined && before.current !== "connected";
    before.current = state;
    if (back) void queries.invalidateQueries({ predicate: ({ queryKey }) => isOf(queryKey, name) });
  }, [queries, name, state]);
}

/** What is asked of one cluster has its name behind what is asked. */
const isOf = (key: readonly unknown[], cluster: string) => key[1] === cluster;
