import type { Tone } from "./podStatus.ts";
import { formatWhen } from "./time.ts";

/** How it stands with the link of a cluster's agent, as the list of clusters tells it. */
export interface AgentLink {
  state: "connected" | "reconnecting" | "away";
  /** Null: there has been no link since the server's start. */
  since: string | null;
  agentVersion: string;
}

/** What decides how a cluster is doing. */
export interface Reached {
  /** Whether the last check of its apiserver got an answer. */
  connected: boolean;
  /** Null where no agent is in between. */
  link: AgentLink | null;
}

export interface Reach {
  tone: Tone;
  word: string;
  /** When it became so, where that is known. */
  since: string | null;
}

/** How a cluster is doing, in a word. */
export function reachOf({ connected, link }: Reached): Reach {
  const since = link?.since ?? null;
  if (link?.state === "reconnecting") return { tone: lackTone(link), word: "Reconnecting", since };
  if (link?.state === "away") return { tone: lackTone(link), word: "Away", since };
  if (link && !connected) return { tone: "broken", word: "Not answering", since: null };
  return connected ? { tone: "ok", word: "Connected", since } : { tone: "broken", word: "Not connected", since: null };
}

/** How bad it is that a link is not there. One that never came may not have been enrolled yet: nothing need be broken. */
export function lackTone({ state, since }: Pick<AgentLink, "state" | "since">): "attention" | "broken" {
  return state === "away" && since ? "broken" : "attention";
}

/** What it means that a link is not there, and what to do next; empty for one that is. */
export function linkWords(link: AgentLink | null): string {
  if (link?.state === "reconnecting") {
    return "The link to its agent was cut and is being restored. Open shells wait for it, and what is typed is kept.";
  }
  if (link?.state !== "away") return "";
  if (!link.since) return NO_AGENT;
  return `Its agent has kept no link since ${formatWhen(link.since)}. ${AGENT_NEXT}`;
}

/** For a cluster whose agent has had no link since the server's start. */
const NO_AGENT =
  "No agent has connected since the server started. An administrator enrols one by a command; one that is enrolled comes by itself once it runs.";

export const AGENT_NEXT =
  "It comes back by itself. If it does not, check in that cluster that the agent runs, and its log.";
