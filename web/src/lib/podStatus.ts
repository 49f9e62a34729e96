export type Tone = "ok" | "attention" | "broken" | "info" | "neutral";

const BROKEN =
  /(^|:)(Error|Failed|CrashLoopBackOff|.*ErrImage.*|ImagePullBackOff|InvalidImageName|OOMKilled|Evicted|ContainerCannotRun|.*Error|.*BackOff|DeadlineExceeded|NodeLost|Unknown|ContainerStatusUnknown|Signal:\d+|ExitCode:\d+)$/;
const MOVING =
  /^(Pending|ContainerCreating|PodInitializing|Init:\d+\/\d+|Terminating|NotReady|SchedulingGated|ContainersNotReady)$/;

/** The meaning of a pod's status as kubectl words it. */
export function podTone(pod: { status: string; readyContainers: number; totalContainers: number }): Tone {
  if (pod.status === "Completed" || pod.status === "Succeeded") return "neutral";
  if (pod.status === "Running") return pod.readyContainers < pod.totalContainers ? "attention" : "ok";
  if (MOVING.test(pod.status)) return "attention";
  return BROKEN.test(pod.status) ? "broken" : "info";
}

export function containerTone(container: {
  /** Nobody asks an ephemeral one whether it is ready. */
  kind?: string;
  state: string;
  ready: boolean;
  reason?: string;
  exitCode?: number | null;
}): Tone {
  if (container.state === "running") return container.ready || container.kind === "ephemeral" ? "ok" : "attention";
  if (container.state === "terminated") return container.exitCode === 0 ? "neutral" : "broken";
  return BROKEN.test(container.reason ?? "") ? "broken" : "attention";
}
