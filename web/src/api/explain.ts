import { AGENT_NEXT, type AgentLink } from "../lib/link.ts";
import { formatWhen } from "../lib/time.ts";
import { AGENT_DISCONNECTED, type ApiFault, asFault, OFFLINE } from "./fault.ts";
import { errorSentence } from "./sentences.ts";

/** Everything a page says about a request that failed. */
export interface Explained {
  kind: "forbidden" | "offline" | "other";
  title: string;
  message: string;
  /** What to do, unless the message says it. */
  next: string;
  requestId: string;
  /** Since when it is so, where that is known. */
  since: string | null;
}

export function explain(thrown: unknown): Explained {
  const fault = asFault(thrown);
  if (fault.code === AGENT_DISCONNECTED && fault.since) return agentAway(fault, fault.since);
  const { title, next } = errorSentence(fault.code, fault.status);
  return {
    kind: kindOf(fault.code, fault.status),
    title,
    message: fault.message,
    next: fault.fromServer ? "" : next,
    requestId: fault.requestId,
    since: fault.since,
  };
}

/** Why what is shown of a cluster is old; null where it is not, or where the bar about its link says so already. */
export function explainStale(
  { isRefetchError, error }: { isRefetchError: boolean; error: unknown },
  link: AgentLink | null,
): Explained | null {
  if (!isRefetchError) return null;
  const told = link !== null && link.state !== "connected" && asFault(error).code === AGENT_DISCONNECTED;
  return told ? null : explain(error);
}

/** The server's own sentence has the time in UTC and how long that was ago when it was said; a page that stands needs neither. */
function agentAway({ requestId }: ApiFault, since: string): Explained {
  return {
    kind: "other",
    title: "The cluster’s agent is away",
    message: `It has kept no link since ${formatWhen(since)}.`,
    next: AGENT_NEXT,
    requestId,
    since,
  };
}

function kindOf(code: string, status: number): Explained["kind"] {
  if (code === OFFLINE) return "offline";
  return status === 403 ? "forbidden" : "other";
}
