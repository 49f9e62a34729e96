import type { components } from "./schema.ts";

/** The shapes of the HTTP API, generated from the server's routes, under the names the pages use. */
type Schemas = components["schemas"];

export type AuthConfig = Schemas["AuthConfig"];
export type LoginFailure = Schemas["Failure"];
export type LoggedOut = Schemas["LoggedOut"];
export type Whoami = Schemas["Whoami"];
export type Login = Schemas["Login"];
export type AccessToken = Schemas["AccessToken"];
export type AccessTokenList = Schemas["AccessTokenList"];
export type TokenScope = AccessToken["scopes"][number];
export type NewToken = Schemas["NewToken"];
export type MadeToken = Schemas["MadeToken"];
export type LoginAsk = Schemas["LoginAsk"];
export type AnsweredLoginAsk = Schemas["AnsweredLoginAsk"];
export type Features = Schemas["Features"];
export type Cluster = Schemas["Cluster"];
export type Agent = Schemas["Agent"];
export type AgentList = Schemas["AgentList"];
export type WaitingToken = Schemas["WaitingToken"];
export type AgentCommands = Schemas["AgentCommands"];
export type AgentToken = Schemas["AgentToken"];
export type Namespace = Schemas["Namespace"];
export type PodSummary = Schemas["PodSummary"];
export type PodList = Schemas["PodList"];
export type Pod = Schemas["PodDetail"];
export type ContainerSummary = Schemas["ContainerSummary"];
export type DebugRequest = Schemas["DebugRequest"];
export type DebugContainer = Schemas["DebugContainer"];
export type Container = Schemas["Container"];
export type ContainerState = Schemas["ContainerState"];
export type PodCondition = Schemas["PodCondition"];
export type KubernetesEvent = Schemas["Event"];
export type AccessCheck = Required<Schemas["Check"]>;
export type AccessResult = Schemas["Decision"];

/** An open shell, as the list of them and the refusals over a cap tell it. */
export type ExecSession = Schemas["ExecSession"];
export type SessionList = Schemas["SessionList"];

/** What a refusal over a cap must say of a shell that is in the way. */
export type ActiveSession = Pick<
  ExecSession,
  "sessionId" | "cluster" | "namespace" | "pod" | "container" | "startedAt" | "lastActivityAt" | "state"
>;
