import { request } from "./client.ts";
import { ApiFault, asFault } from "./fault.ts";
import type {
  AccessCheck,
  AccessResult,
  AccessTokenList,
  AgentList,
  AgentToken,
  AnsweredLoginAsk,
  AuthConfig,
  Cluster,
  DebugContainer,
  DebugRequest,
  Features,
  KubernetesEvent,
  LoggedOut,
  Login,
  LoginAsk,
  MadeToken,
  Namespace,
  NewToken,
  Pod,
  PodList,
  PodSummary,
  SessionList,
  Whoami,
} from "./types.ts";

/** One segment of a path. "." and ".." cannot be written as one: every URL parser would climb. */
function part(name: string): string {
  if (name === "." || name === "..") throw new ApiFault("E_NOT_FOUND", `Nothing can be called "${name}".`, 404, "");
  return encodeURIComponent(name);
}

/** One page of the list: large enough for most clusters, small enough for the server's memory. */
const PAGE = 1000;

export interface PodRef {
  cluster: string;
  namespace: string;
  pod: string;
}

export const authConfig = () => request<AuthConfig>("/api/auth/config");
export const devLogin = (code: string) => request<Whoami>("/api/auth/dev", { method: "POST", body: { code } });
export const logout = () => request<LoggedOut>("/api/auth/logout", { method: "POST" });
export const logoutEverywhere = () => request<LoggedOut>("/api/auth/logout/everywhere", { method: "POST" });
/** Says that the person did something: no other call of the page is told from its timers'. */
export const active = () => request<void>("/api/auth/active", { method: "POST" });
export const whoami = (signal?: AbortSignal) => request<Whoami>("/api/whoami", { signal });
export const features = (signal?: AbortSignal) => request<Features>("/api/features", { signal });

export async function clusters(signal?: AbortSignal): Promise<Cluster[]> {
  return (await request<{ clusters: Cluster[] }>("/api/clusters", { signal })).clusters ?? [];
}

export async function namespaces(cluster: string, signal?: AbortSignal): Promise<Namespace[]> {
  const path = `/api/clusters/${part(cluster)}/namespaces`;
  return (await request<{ namespaces: Namespace[] }>(path, { signal })).namespaces ?? [];
}

/** All pods, page by page. `namespace` empty: of every namespace. */
export async function pods(cluster: string, namespace: string, signal?: AbortSignal): Promise<PodSummary[]> {
  const all: PodSummary[] = [];
  let next = "";
  do {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (namespace) query.set("namespace", namespace);
    if (next) query.set("continue", next);
    const page = await request<PodList>(`/api/clusters/${part(cluster)}/pods?${query}`, { signal });
    all.push(...(page.pods ?? []));
    next = page.continue ?? "";
  } while (next);
  return all;
}

export function podPath({ cluster, namespace, pod }: PodRef): string {
  return `/api/clusters/${part(cluster)}/pods/${part(namespace)}/${part(pod)}`;
}

export const pod = (ref: PodRef, signal?: AbortSignal) => request<Pod>(podPath(ref), { signal });

export async function podEvents(ref: PodRef, signal?: AbortSignal): Promise<KubernetesEvent[]> {
  return (await request<{ events: KubernetesEvent[] }>(`${podPath(ref)}/events`, { signal })).events ?? [];
}

/** Adds a debug container, or finds the one that is there. It may not run yet. */
export const debugPod = (ref: PodRef, body: DebugRequest, signal?: AbortSignal) =>
  request<DebugContainer>(`${podPath(ref)}/debug`, { method: "POST", body, signal });

export async function canI(cluster: string, checks: AccessCheck[], signal?: AbortSignal): Promise<AccessResult[]> {
  const path = `/api/clusters/${part(cluster)}/can-i`;
  return (await request<{ results: AccessResult[] }>(path, { method: "POST", body: { checks }, signal })).results ?? [];
}

export const execSessions = (signal?: AbortSignal) => request<SessionList>("/api/exec/sessions", { signal });

/** Ends a shell. One that has ended already is no failure: that is what was wanted. Says whether it still ran. */
export const endExecSession = (sessionId: string) => end(`/api/exec/sessions/${part(sessionId)}`);

/** Of one's own. */
export async function logins(signal?: AbortSignal): Promise<Login[]> {
  return (await request<{ logins: Login[] }>("/api/auth/logins", { signal })).logins ?? [];
}

/** Says whether it still held. */
export const endLogin = (id: string) => end(`/api/auth/logins/${part(id)}`);

export const tokens = (everybody: boolean, signal?: AbortSignal) =>
  request<AccessTokenList>(`/api/auth/tokens${everybody ? "?everybody=true" : ""}`, { signal });

export const createToken = (body: NewToken) => request<MadeToken>("/api/auth/tokens", { method: "POST", body });

/** Says whether it still held. */
export const revokeToken = (id: string) => end(`/api/auth/tokens/${part(id)}`);

/** All of one's own. */
export const revokeTokens = () => request<void>("/api/auth/tokens", { method: "DELETE" });

/** The command line that asks to be logged in, by the address of its page. */
export const loginAsk = (id: string, signal?: AbortSignal) =>
  request<LoginAsk>(`/api/auth/cli/asks/${part(id)}`, { signal });

/** The same, by the code that it shows. */
export const findLoginAsk = (userCode: string) =>
  request<LoginAsk>("/api/auth/cli/find", { method: "POST", body: { userCode } });

export const answerLoginAsk = (id: string, allow: boolean) =>
  request<AnsweredLoginAsk>(`/api/auth/cli/asks/${part(id)}`, { method: "POST", body: { allow } });

/** What is registered, by cluster, and what waits to be; to administrators. 404 where no cluster is reached through an agent. */
export const agents = (signal?: AbortSignal) => request<AgentList>("/api/agents", { signal });

/** A token for one agent, and how to start it. The answer alone has the token. */
export const mintAgentToken = (cluster: string) =>
  request<AgentToken>("/api/agents/tokens", { method: "POST", body: { cluster } });

/** Says whether it still waited for an agent. */
export const withdrawAgentToken = (cluster: string, id: string) =>
  end(`/api/agents/${part(cluster)}/tokens/${part(id)}`);

/** Says whether there was anything to revoke. */
export const revokeAgent = (cluster: string) => end(`/api/agents/${part(cluster)}`);

/** False for what had ended already. */
async function end(path: string): Promise<boolean> {
  try {
    await request<void>(path, { method: "DELETE" });
    return true;
  } catch (thrown) {
    if (asFault(thrown).status === 404) return false;
    throw thrown;
  }
}

/** The address of a pod's shell, on the page's own origin. */
export function execUrl(ref: PodRef, location: { protocol: string; host: string }): string {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${podPath(ref)}/exec`;
}
