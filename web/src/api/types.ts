import type { components } from "./schema.ts";

/** The shapes of the HTTP API, generated from the server's routes, under the names the pages use. */
type Schemas = components["schemas"];

export type AuthConfig = Schemas["AuthConfig"];
export type Whoami = Schemas["Whoami"];
export type Features = Schemas["Features"];
export type Cluster = Schemas["Cluster"];
export type Namespace = Schemas["Namespace"];
export type PodSummary = Schemas["PodSummary"];
export type PodList = Schemas["PodList"];
export type Pod = Schemas["PodDetail"];
export type ContainerSummary = Schemas["ContainerSummary"];
export type Container = Schemas["Container"];
export type ContainerState = Schemas["ContainerState"];
export type PodCondition = Schemas["PodCondition"];
export type KubernetesEvent = Schemas["Event"];
export type AccessCheck = Required<Schemas["Check"]>;
export type AccessResult = Schemas["Decision"];

/** One of the caller's shells, as the terminal's refusal over the cap lists it. It is no part of the HTTP API yet. */
export interface ActiveSession {
  sessionId: string;
  cluster: string;
  namespace: string;
  pod: string;
  container: string;
  startedAt: string;
  state: string;
}
