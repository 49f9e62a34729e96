/**
 * The shapes of the HTTP API, under the names of its schemas. Code imports them from here alone, so
 * that they can become aliases of the generated ones (`components["schemas"]["Pod"]`) in this file.
 */

export interface AuthConfig {
  mode: "dev" | "oidc";
  codeRequired: boolean;
  providerName: string;
}

export interface Whoami {
  subject: string;
  email: string;
  groups: string[];
  mode: string;
  authzMode: "shared" | "tier" | "raw";
  tier: string;
  auditEnabled: boolean;
  auditScope: "self" | "all";
  expiresAt: string | null;
}

export interface Features {
  version: string;
  exec: { resume: boolean; clientHiddenSeconds: number };
}

export interface Cluster {
  name: string;
  backend: string;
  region: string;
  arn: string;
  environment: string;
  tags: Record<string, string>;
  execEnabled: boolean;
  /** A reason must be given before a shell opens. Absent: not needed. */
  requireReason?: boolean;
  connected: boolean;
  version: string;
  message: string;
  checkedAt: string | null;
}

export interface Namespace {
  name: string;
  phase: string;
  createdAt: string;
}

export type ContainerKind = "container" | "init" | "ephemeral";
export type ContainerPhase = "running" | "waiting" | "terminated";

export interface ContainerSummary {
  name: string;
  kind: ContainerKind;
  state: ContainerPhase;
  ready: boolean;
}

export interface PodSummary {
  namespace: string;
  name: string;
  uid: string;
  status: string;
  phase: string;
  reason: string;
  readyContainers: number;
  totalContainers: number;
  restarts: number;
  lastRestartAt: string | null;
  createdAt: string;
  node: string;
  ip: string;
  containers: ContainerSummary[];
  defaultContainer: string;
}

export interface ContainerPort {
  name: string;
  port: number;
  protocol: string;
}

export interface ContainerState {
  state: ContainerPhase;
  reason: string;
  message: string;
  exitCode: number | null;
  startedAt: string | null;
  finishedAt: string | null;
}

export interface Container extends ContainerState {
  name: string;
  kind: ContainerKind;
  image: string;
  imageID: string;
  restarts: number;
  ready: boolean;
  ports: ContainerPort[];
  lastState: ContainerState | null;
}

export interface PodCondition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionAt: string | null;
}

export interface Pod extends Omit<PodSummary, "containers"> {
  containers: Container[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  owner: { kind: string; name: string } | null;
  serviceAccount: string;
  qosClass: string;
  hostIP: string;
  os: string;
  conditions: PodCondition[];
}

export interface PodPage {
  pods: PodSummary[];
  continue: string;
  resourceVersion: string;
}

export interface KubernetesEvent {
  type: string;
  reason: string;
  message: string;
  count: number;
  firstSeen: string | null;
  lastSeen: string | null;
  source: string;
}

export interface AccessCheck {
  verb: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
}

export interface AccessResult {
  allowed: boolean;
  reason: string;
}

/** One of the caller's shells, as a refusal over the cap lists it. */
export interface ActiveSession {
  sessionId: string;
  cluster: string;
  namespace: string;
  pod: string;
  container: string;
  startedAt: string;
  state: string;
}
