import type { PodRef } from "./endpoints.ts";
import * as api from "./endpoints.ts";
import type { AccessCheck, Cluster } from "./types.ts";

interface QueryContext {
  signal: AbortSignal;
}

/** What is asked, under which key it is kept, and how often it is asked again: data, so that no framework is needed here. */
export const clustersQuery = () => ({
  queryKey: ["clusters"] as const,
  queryFn: ({ signal }: QueryContext) => api.clusters(signal),
  refetchInterval: (query: { state: { data?: readonly Pick<Cluster, "link">[] } }) =>
    clustersInterval(query.state.data ?? []),
});

/** A link may break at any time, and what becomes of one that is being restored is known within half a minute. */
export function clustersInterval(clusters: readonly Pick<Cluster, "link">[]): number {
  if (clusters.some(({ link }) => link?.state === "reconnecting")) return 3_000;
  return clusters.some(({ link }) => link) ? 5_000 : 15_000;
}

export const agentsQuery = () => ({
  queryKey: ["agents"] as const,
  queryFn: ({ signal }: QueryContext) => api.agents(signal),
  refetchInterval: 15_000,
});

export const featuresQuery = () => ({
  queryKey: ["features"] as const,
  queryFn: ({ signal }: QueryContext) => api.features(signal),
  staleTime: Number.POSITIVE_INFINITY,
});

export const namespacesQuery = (cluster: string) => ({
  queryKey: ["namespaces", cluster] as const,
  queryFn: ({ signal }: QueryContext) => api.namespaces(cluster, signal),
  refetchInterval: 30_000,
});

/** A large list is asked for less often: it costs the cluster's apiserver and this page more. */
export function podsInterval(count: number): number {
  if (count <= 1_000) return 4_000;
  return count <= 5_000 ? 10_000 : 30_000;
}

export const podsQuery = (cluster: string, namespace: string) => ({
  queryKey: ["pods", cluster, namespace] as const,
  queryFn: ({ signal }: QueryContext) => api.pods(cluster, namespace, signal),
  refetchInterval: (query: { state: { data?: { length: number } } }) => podsInterval(query.state.data?.length ?? 0),
});

export const podQuery = (ref: PodRef) => ({
  queryKey: ["pod", ref.cluster, ref.namespace, ref.pod] as const,
  queryFn: ({ signal }: QueryContext) => api.pod(ref, signal),
  refetchInterval: 4_000,
});

export const podEventsQuery = (ref: PodRef) => ({
  queryKey: ["pod-events", ref.cluster, ref.namespace, ref.pod] as const,
  queryFn: ({ signal }: QueryContext) => api.podEvents(ref, signal),
  refetchInterval: 8_000,
});

/** Asked again only while the page is in view: react-query stops the interval of a hidden one. */
export const sessionsQuery = () => ({
  queryKey: ["exec-sessions"] as const,
  queryFn: ({ signal }: QueryContext) => api.execSessions(signal),
  refetchInterval: 3_000,
});

/** Nobody but their owner changes these, or another window of the owner's. */
export const loginsQuery = () => ({
  queryKey: ["logins"] as const,
  queryFn: ({ signal }: QueryContext) => api.logins(signal),
  refetchInterval: 15_000,
});

export const tokensQuery = (everybody: boolean) => ({
  queryKey: ["tokens", everybody] as const,
  queryFn: ({ signal }: QueryContext) => api.tokens(everybody, signal),
  refetchInterval: 15_000,
});

/** The server takes no more checks in one call. */
const MAX_CHECKS = 64;

export function execCheck(namespace: string): AccessCheck {
  return { verb: "create", group: "", resource: "pods", subresource: "exec", namespace, name: "" };
}

/** Whether the caller may add debug containers in a namespace. */
export const debugRightQuery = (cluster: string, namespace: string) => ({
  queryKey: ["debug-right", cluster, namespace] as const,
  queryFn: async ({ signal }: QueryContext) => {
    const check = {
      verb: "patch",
      group: "",
      resource: "pods",
      subresource: "ephemeralcontainers",
      namespace,
      name: "",
    };
    return (await api.canI(cluster, [check], signal))[0] ?? { allowed: false, decided: false, reason: "" };
  },
  staleTime: 60_000,
  refetchInterval: 60_000,
});

/** In which of these namespaces the caller may open shells; "" stands for all of them. */
export const execRightsQuery = (cluster: string, namespaces: readonly string[]) => {
  const asked = ["", ...namespaces].slice(0, MAX_CHECKS);
  return {
    queryKey: ["exec-rights", cluster, asked] as const,
    queryFn: async ({ signal }: QueryContext) => {
      const results = await api.canI(cluster, asked.map(execCheck), signal);
      return new Map(asked.flatMap((namespace, i) => (results[i] ? [[namespace, results[i]] as const] : [])));
    },
    staleTime: 60_000,
    refetchInterval: 60_000,
  };
};
