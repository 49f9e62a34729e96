import { useEffect, useRef, useState } from "react";
import type { PodSummary } from "../../api/types.ts";

/** As long as the mark in the style sheet takes to fade. */
const SHOWN_MS = 2400;

function signature(pod: PodSummary): string {
  return `${pod.status} ${pod.readyContainers}/${pod.totalContainers} ${pod.restarts}`;
}

/**
 * The pods that changed or appeared with the last answer, for as long as they are marked. `scope`
 * names the list: a first look at another one changes nothing.
 */
export function useChanges(pods: readonly PodSummary[] | undefined, scope: string): ReadonlySet<string> {
  const before = useRef<{ scope: string; signatures: Map<string, string> } | null>(null);
  const [changed, setChanged] = useState<ReadonlySet<string>>(new Set());

  useEffect(() => {
    if (!pods) return;
    const signatures = new Map(pods.map((pod) => [pod.uid, signature(pod)]));
    const known = before.current;
    before.current = { scope, signatures };
    if (known?.scope !== scope) return;
    const now = [...signatures].filter(([uid, value]) => known.signatures.get(uid) !== value).map(([uid]) => uid);
    if (now.length === 0) return;
    setChanged(new Set(now));
    const timer = setTimeout(() => setChanged(new Set()), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [pods, scope]);

  return changed;
}
