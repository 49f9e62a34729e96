import type { Cluster, ContainerSummary, PodSummary } from "./types.ts";

type PodWithContainers = Pick<PodSummary, "containers" | "defaultContainer">;

/** The containers a shell can be opened in now. */
export function shellContainers(pod: PodWithContainers): ContainerSummary[] {
  return pod.containers.filter((container) => container.state === "running");
}

export const SHELLS_OFF = "Shells are switched off for this cluster.";

/** Why no shell can be opened in this pod, in one sentence; empty where one can. */
export function whyNoShell(
  cluster: Pick<Cluster, "execEnabled"> | undefined,
  pod: PodWithContainers & Pick<PodSummary, "namespace">,
  rights: ReadonlyMap<string, boolean> | undefined,
): string {
  if (cluster && !cluster.execEnabled) return SHELLS_OFF;
  // Rights that are not known yet do not block: the server decides again when the shell opens.
  if (rights && rights.get("") === false && rights.get(pod.namespace) === false) {
    return `You may not open shells in ${pod.namespace}: the right "create pods/exec" is missing.`;
  }
  if (shellContainers(pod).length === 0) return "No container of this pod is running.";
  return "";
}
