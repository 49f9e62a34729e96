import { shellContainers, whyNoShell } from "../../api/shells.ts";
import type { Cluster, PodSummary } from "../../api/types.ts";
import { notify } from "../../lib/notice.ts";
import { Store } from "../../lib/store.ts";
import type { Shell } from "./shell.ts";
import { openShell, renewShell } from "./store.ts";

/** Somebody wants a shell; which container, and why, may still be open. */
export interface ShellRequest {
  cluster: Pick<Cluster, "name" | "execEnabled" | "requireReason">;
  pod: Pick<PodSummary, "namespace" | "name" | "containers" | "defaultContainer">;
  /** Already chosen by the reader. */
  container?: string;
  /** The image of a debug container that looks into it, where that is wanted. */
  debug?: string;
  /** The shell that ended, in whose place it opens. */
  insteadOf?: Shell;
}

/** The request that a dialog is asking about. */
export const asked = new Store<ShellRequest | null>(null);

/** Opens the shell where nothing is left to ask, else asks; says why where none can be opened. */
export function requestShell(request: ShellRequest): void {
  const why = whyNoShell(request.cluster, request.pod, undefined);
  if (why) {
    notify(why);
    return;
  }
  const containers = shellContainers(request.pod);
  const only = request.container ?? (containers.length === 1 ? containers[0]?.name : undefined);
  if (only && !request.cluster.requireReason) startShell(request, only, "");
  else asked.set(request);
}

/** Asks why, and opens a fresh shell in the place of one that ended and does not say. */
export function askRenewal(insteadOf: Shell): void {
  const { cluster, namespace, pod, container, debug, of = "" } = insteadOf.target;
  const kind = of ? "ephemeral" : "container";
  const containers = [{ name: container, kind, state: "running", ready: true, target: of } as const];
  asked.set({
    cluster: { name: cluster, execEnabled: true, requireReason: true },
    pod: { namespace, name: pod, containers, defaultContainer: "" },
    debug,
    insteadOf,
  });
}

export function startShell({ cluster, pod, debug, insteadOf }: ShellRequest, container: string, reason: string): void {
  const of = pod.containers.find(({ name }) => name === container)?.target;
  const target = { cluster: cluster.name, namespace: pod.namespace, pod: pod.name, container, reason, debug, of };
  if (insteadOf) renewShell(insteadOf, target);
  else openShell(target);
}
