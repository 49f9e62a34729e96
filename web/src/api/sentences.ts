/**
 * What every code of the contract means to the person in front of the page, and what to do next.
 * Both lists are append-only; a test holds them equal to the tables here.
 */
export interface Sentence {
  title: string;
  next: string;
}

export const ERROR_CODES = [
  "E_EXEC_DISABLED",
  "E_CAP_USER",
  "E_CAP_CLUSTER",
  "E_FORBIDDEN",
  "E_NO_SHELL",
  "E_NOT_FOUND",
  "E_INVALID_REQUEST",
  "E_UNAUTHENTICATED",
  "E_CLUSTER_UNREACHABLE",
  "E_AGENT_DISCONNECTED",
  "E_AUDIT_UNAVAILABLE",
  "E_RECORDING_UNAVAILABLE",
  "E_RATE_LIMITED",
  "E_TIMEOUT",
  "E_SHUTTING_DOWN",
  "E_PROTOCOL",
  "E_INTERNAL",
  "E_GONE",
  "E_CONFLICT",
  "E_TOO_LARGE",
  "E_UNPROCESSABLE",
  "E_MISDIRECTED",
  "E_MEDIA_TYPE",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export const CLOSE_REASONS = [
  "client_close",
  "server_idle",
  "forced_close",
  "completed",
  "container_exit",
  "pod_deleted",
  "tunnel_closed",
  "heartbeat_timeout",
  "unauthorized",
  "client_lost",
  "shutdown",
  "forbidden",
  "no_shell",
  "server_error",
  "server_lost",
  "taken_over",
  "refused",
  "protocol_error",
] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export const ERROR_SENTENCES: Record<ErrorCode, Sentence> = {
  E_EXEC_DISABLED: {
    title: "Shells are switched off for this cluster",
    next: "Ask whoever runs Periscope to set exec.enabled for it, or use another cluster.",
  },
  E_CAP_USER: {
    title: "Your limit of open shells is reached",
    next: "End one of the shells listed here, then try again.",
  },
  E_CAP_CLUSTER: {
    title: "This cluster’s limit of open shells is reached",
    next: "Wait until somebody ends one, or ask whoever runs Periscope to raise the limit.",
  },
  E_FORBIDDEN: {
    title: "You may not do this",
    next: "Ask the owner of the cluster for the missing right; the message names it.",
  },
  E_NO_SHELL: {
    title: "This container has no shell",
    next: "Its image holds neither bash nor sh. Use a debug container, or try another container of the pod.",
  },
  E_NOT_FOUND: {
    title: "This does not exist, or no longer",
    next: "Go back to the list: the pod may have been replaced under a new name.",
  },
  E_INVALID_REQUEST: {
    title: "The server did not accept the request",
    next: "Read the message, change what it names, and try again.",
  },
  E_UNAUTHENTICATED: {
    title: "You are signed out",
    next: "Sign in again, then repeat what you did.",
  },
  E_CLUSTER_UNREACHABLE: {
    title: "The cluster does not answer",
    next: "Try again in a minute. If it stays so, check the cluster’s API server and the network to it.",
  },
  E_AGENT_DISCONNECTED: {
    title: "The cluster’s agent is not connected",
    next: "It comes back by itself. If it does not, check in that cluster that the agent runs, and its log.",
  },
  E_AUDIT_UNAVAILABLE: {
    title: "The audit record cannot be written",
    next: "Nothing runs without a record here. Ask whoever runs Periscope to check the audit store.",
  },
  E_RECORDING_UNAVAILABLE: {
    title: "The shell cannot be recorded",
    next: "Shells here must be recorded. Ask whoever runs Periscope to check where recordings are kept.",
  },
  E_RATE_LIMITED: {
    title: "Too many requests",
    next: "Wait a few seconds, then try again.",
  },
  E_TIMEOUT: {
    title: "It took too long",
    next: "Try again. If it stays so, the cluster or the pod’s node is overloaded.",
  },
  E_SHUTTING_DOWN: {
    title: "The server is restarting",
    next: "Try again in half a minute.",
  },
  E_PROTOCOL: {
    title: "Page and server did not understand each other",
    next: "Reload the page: the server may be newer than it.",
  },
  E_INTERNAL: {
    title: "The server failed",
    next: "Try again. If it happens again, report it with the request id.",
  },
  E_GONE: {
    title: "It is no longer there",
    next: "Look at the pod: its container may have ended, or the pod may have been replaced.",
  },
  E_CONFLICT: {
    title: "Something else changed it just now",
    next: "Try again in a moment.",
  },
  E_TOO_LARGE: {
    title: "It is too long",
    next: "Shorten it, or put a long command into a file in the container.",
  },
  E_UNPROCESSABLE: {
    title: "The cluster found a mistake in the request",
    next: "Read its message, change what it names, and try again.",
  },
  E_MISDIRECTED: {
    title: "The server does not answer under this address",
    next: "Open Periscope at its public address; whoever runs it can name it.",
  },
  E_MEDIA_TYPE: {
    title: "The server did not accept the request",
    next: "Reload the page: the server may be newer than it.",
  },
};

export const CLOSE_SENTENCES: Record<CloseReason, Sentence> = {
  client_close: { title: "you disconnected", next: "Open a new shell to go on." },
  server_idle: { title: "idle too long", next: "Open a new shell to go on." },
  forced_close: { title: "closed from the list of sessions", next: "Open a new shell to go on." },
  completed: { title: "the shell exited", next: "Open a new shell to go on." },
  container_exit: {
    title: "the container stopped",
    next: "Its shells ended with it. Open a new one once it runs again.",
  },
  pod_deleted: { title: "the pod is gone", next: "Go back to the list and choose the pod that replaced it." },
  tunnel_closed: {
    title: "the link to the cluster broke",
    next: "The shell was ended with it. Open a new one once the cluster’s agent is connected again.",
  },
  heartbeat_timeout: {
    title: "connection lost",
    next: "Nothing was heard from this page for too long, so the shell was ended. Open a new one to go on.",
  },
  unauthorized: { title: "signed out", next: "Sign in again, then open a new shell." },
  client_lost: { title: "connection lost", next: "The shell was ended. Open a new one to go on." },
  shutdown: { title: "the server is restarting", next: "Open a new shell in half a minute." },
  forbidden: {
    title: "not allowed",
    next: 'The right "create pods/exec" is missing or was taken away. Ask the owner of the cluster.',
  },
  no_shell: {
    title: "no shell in the container",
    next: "Its image holds neither bash nor sh. Use a debug container, or try another container of the pod.",
  },
  server_error: {
    title: "the shell broke",
    next: "It may still be running in the container. Open a new one; if it happens again, report the session id.",
  },
  server_lost: { title: "the server went away", next: "The shell was ended with it. Open a new one to go on." },
  taken_over: { title: "taken over elsewhere", next: "The shell goes on in another window of yours." },
  refused: { title: "the shell could not be opened", next: "Look at the pod, then try again." },
  protocol_error: {
    title: "page and server did not understand each other",
    next: "Reload the page: the server may be newer than it.",
  },
};

/** For failures that never reached the server's own error table. */
const LOCAL_SENTENCES: Record<string, Sentence> = {
  E_OFFLINE: {
    title: "Periscope cannot be reached",
    next: "Check the network and that the server runs. The page tries again by itself.",
  },
  E_BAD_ANSWER: {
    title: "The answer could not be read",
    next: "A proxy may stand between. Try again; if it stays so, report it with the request id.",
  },
  E_PAGE: {
    title: "This part of the page failed",
    next: "Reload the page. If it happens again, report what you did.",
  },
};

/** Kubernetes' own answers come without a code of ours: the status decides. */
const STATUS_SENTENCES: Record<number, ErrorCode> = {
  401: "E_UNAUTHENTICATED",
  403: "E_FORBIDDEN",
  404: "E_NOT_FOUND",
  410: "E_NOT_FOUND",
  429: "E_RATE_LIMITED",
  503: "E_CLUSTER_UNREACHABLE",
  504: "E_TIMEOUT",
};

function own<T>(table: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

export function errorSentence(code: string, status = 0): Sentence {
  const byCode = own<Sentence>(ERROR_SENTENCES, code) ?? own(LOCAL_SENTENCES, code);
  return byCode ?? ERROR_SENTENCES[STATUS_SENTENCES[status] ?? "E_INTERNAL"];
}

export function closeSentence(reason: string): Sentence {
  return own<Sentence>(CLOSE_SENTENCES, reason) ?? { title: "ended", next: "Open a new shell to go on." };
}
