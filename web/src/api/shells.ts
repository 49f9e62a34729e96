import { Store } from "../lib/store.ts";
import type { PodRef } from "./endpoints.ts";
import type { AccessResult, Cluster, ContainerSummary, PodSummary } from "./types.ts";

type PodWithContainers = Pick<PodSummary, "containers" | "defaultContainer">;

/** The containers a shell can be opened in now. */
export function shellContainers(pod: PodWithContainers): ContainerSummary[] {
  return pod.containers.filter((container) => container.state === "running");
}

export const SHELLS_OFF = "Shells are switched off for this cluster. Ask whoever runs this server if you need one.";

/** Of a right that is missing. */
const WHOM_TO_ASK = "Ask the owner of the cluster for it.";

/** What the cluster says about opening shells, by namespace; "" stands for all of them. */
export type ShellRights = ReadonlyMap<string, Pick<AccessResult, "allowed" | "decided">>;

/** Why no shell can be opened in this pod, and whom to ask; empty where one can. `tier` is the caller's, if there are tiers. */
export function whyNoShell(
  cluster: Pick<Cluster, "execEnabled"> | undefined,
  pod: PodWithContainers & Pick<PodSummary, "namespace">,
  rights: ShellRights | undefined,
  tier = "",
): string {
  if (cluster && !cluster.execEnabled) return SHELLS_OFF;
  // Rights that are not known do not block: the server decides again when the shell opens.
  if (rights && denied(rights, "") && denied(rights, pod.namespace)) {
    const why = tier
      ? `your tier (${tier}) lacks the right "create pods/exec"`
      : 'the right "create pods/exec" is missing';
    return `You may not open shells in ${pod.namespace}: ${why}. ${WHOM_TO_ASK}`;
  }
  if (shellContainers(pod).length === 0) return "No container of this pod is running.";
  return "";
}

/** Why no debug container can be added, as far as rights go; empty where one can, or where the server decides. */
export function whyNoDebug(right: AccessResult | undefined, namespace: string, tier = ""): string {
  if (!right?.decided || right.allowed) return "";
  const why = tier ? `your tier (${tier}) lacks` : "you lack";
  return `You may not debug in ${namespace}: ${why} the right "patch pods/ephemeralcontainers". ${WHOM_TO_ASK}`;
}

/** What a container is, where it is none of the usual ones. */
export function kindWord({ kind, target }: Pick<ContainerSummary, "kind" | "target">): string {
  if (kind === "ephemeral" && target) return `debug · ${target}`;
  return kind === "container" ? "" : kind;
}

/** Containers in which this page has met no shell. */
export const shellless = new Store<ReadonlySet<string>>(new Set());

/** As many as are remembered: the oldest are forgotten. */
const MAX_SHELLLESS = 500;

export function shelllessKey({ cluster, namespace, pod }: PodRef, container: string): string {
  return [cluster, namespace, pod, container].join("/");
}

export function noteShellless(ref: PodRef, container: string): void {
  const key = shelllessKey(ref, container);
  shellless.update((known) => (known.has(key) ? known : new Set([...known, key].slice(-MAX_SHELLLESS))));
}

function denied(rights: ShellRights, namespace: string): boolean {
  const answer = rights.get(namespace);
  return answer?.decided === true && !answer.allowed;
}
