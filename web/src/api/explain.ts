import { asFault, OFFLINE } from "./fault.ts";
import { errorSentence } from "./sentences.ts";

/** Everything a page says about a request that failed. */
export interface Explained {
  kind: "forbidden" | "offline" | "other";
  title: string;
  message: string;
  /** What to do, unless the message says it. */
  next: string;
  requestId: string;
}

export function explain(thrown: unknown): Explained {
  const fault = asFault(thrown);
  const { title, next } = errorSentence(fault.code, fault.status);
  return {
    kind: kindOf(fault.code, fault.status),
    title,
    message: fault.message,
    next: fault.fromServer ? "" : next,
    requestId: fault.requestId,
  };
}

function kindOf(code: string, status: number): Explained["kind"] {
  if (code === OFFLINE) return "offline";
  return status === 403 ? "forbidden" : "other";
}
