import type { Agent, AgentCommands, Cluster } from "../../api/types.ts";
import type { Tone } from "../../lib/podStatus.ts";
import { formatLeft } from "../../lib/time.ts";

/** A cluster that is, or may be, reached through an agent. */
export interface AgentRow {
  cluster: string;
  /** What is registered; null for nothing. */
  agent: Agent | null;
  /** As the list of clusters has it; null where it has no such cluster, or is not known yet. */
  found: Pick<Cluster, "connected" | "link"> | null;
}

/** Clusters of clusters.yaml with an agent of theirs, and agents whose cluster is not there any more, by name. */
export function rowsOf(agents: readonly Agent[], clusters: readonly Cluster[]): AgentRow[] {
  const linked = clusters.filter(({ backend }) => backend === "agent");
  const names = new Set([...agents, ...linked.map(({ name }) => ({ cluster: name }))].map(({ cluster }) => cluster));
  return [...names].sort().map((cluster) => ({
    cluster,
    agent: agents.find((agent) => agent.cluster === cluster) ?? null,
    found: linked.find(({ name }) => name === cluster) ?? null,
  }));
}

/** How a certificate stands. An agent renews it by itself; that it has not is told while there is time to see to it. */
export function certificate(agent: Pick<Agent, "renewAt" | "expiresAt">, now: number): { tone: Tone; word: string } {
  const [renew, end] = [Date.parse(agent.renewAt), Date.parse(agent.expiresAt)];
  if (end <= now) return { tone: "broken", word: "Expired" };
  // As the server's alarm: half of the time between is over.
  const late = now > (renew + end) / 2;
  return { tone: late ? "attention" : "neutral", word: `in ${formatLeft(agent.expiresAt, now)}` };
}

export interface Topology {
  key: keyof AgentCommands;
  name: string;
  fits: string;
}

export const TOPOLOGIES: readonly Topology[] = [
  {
    key: "oneUrl",
    name: "One URL",
    fits: "Where a load balancer passes TLS through from port 443 to the agents’ listener: the agent needs one address for everything.",
  },
  {
    key: "twoUrls",
    name: "Two URLs",
    fits: "Where the address of this page has a certificate that everybody trusts: the agent registers there, and keeps its link straight to the agents’ listener.",
  },
  {
    key: "selfSigned",
    name: "Self-signed",
    fits: "Where nothing has a certificate that everybody trusts: the agent knows the agents’ listener by the pin alone.",
  },
];

/** Nobody trusts a page without TLS. */
export function likelyTopology(protocol: string): keyof AgentCommands {
  return protocol === "https:" ? "twoUrls" : "selfSigned";
}

/** One word a line, for eyes and for a shell. The server promises that no word has a blank in it. */
export function breakCommand(command: string): string {
  return command.split(" ").join(" \\\n  ");
}

export function clusterYaml(name: string): string {
  return `clusters:\n  - name: ${name}\n    backend: agent\n`;
}

export const SANS = "PERISCOPE_AGENT_TUNNEL_SANS=agents.example.com";

/** How it stood with a cluster when a token was made. */
export interface Before {
  registeredAt: string | null;
  /** Of a link that stood; null where none did. */
  linkedSince: string | null;
}

export interface Now {
  agent: Pick<Agent, "registeredAt"> | undefined;
  link: Cluster["link"] | undefined;
  expired: boolean;
}

export type Progress = "waiting" | "registered" | "connected" | "expired";

export function beforeOf(agent: Now["agent"], link: Now["link"]): Before {
  return {
    registeredAt: agent?.registeredAt ?? null,
    linkedSince: link?.state === "connected" ? link.since : null,
  };
}

/** How far the agent for which a token was made has come: an older one that is connected all the while is not it. */
export function progressOf(before: Before, { agent, link, expired }: Now): Progress {
  const registered = agent !== undefined && agent.registeredAt !== before.registeredAt;
  if (!registered) return expired ? "expired" : "waiting";
  return link?.state === "connected" && link.since !== before.linkedSince ? "connected" : "registered";
}
