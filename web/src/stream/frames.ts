import type { ActiveSession } from "../api/types.ts";

/** The text frames of `v2.exec.periscope`. Binary frames are stdin to the server and output to the client. */
export const SUBPROTOCOL = "v2.exec.periscope";

export interface OpenFrame {
  type: "open";
  container: string;
  /** Empty: the server picks bash or sh. */
  command: string[];
  tty: boolean;
  /** Left out where there is no terminal. */
  cols?: number;
  rows?: number;
  reason: string;
  /** Carried instead of running a command. */
  file?: FileRequest;
}

/** A file to carry, as api/terminal.md has it. */
export interface FileRequest {
  /** `get` reads a file, or a folder as a tar archive; `put` writes a file, `unpack` what such an archive holds. */
  op: "get" | "put" | "unpack";
  /** In the container. */
  path: string;
  /** What a file that is put is called where `path` is a folder. */
  name: string;
  /** How many bytes will come; 0 for `get`. */
  size: number;
}

/** Comes back to a shell that runs already. */
export interface AttachFrame {
  type: "attach";
  sessionId: string;
  /** Null: taken over without the token, which needs `takeOver`. */
  resumeToken: string | null;
  takeOver: boolean;
  /** The next byte of output that is wanted; null: what the server still has of the newest. */
  offset: number | null;
  cols?: number;
  rows?: number;
}

export type ClientFrame =
  | OpenFrame
  | AttachFrame
  | { type: "ack"; offset: number }
  | { type: "resize"; cols: number; rows: number }
  | { type: "ping"; id: number }
  | { type: "eof" }
  | { type: "stay" }
  | { type: "detach" }
  | { type: "close" };

export interface HelloFrame {
  type: "hello";
  sessionId: string;
  cluster: string;
  namespace: string;
  pod: string;
  container: string;
  shell: string;
  tty: boolean;
  transport: string;
  /** "open" while the cluster is pinned to SPDY, because WebSocket failed there. */
  circuitBreaker: string;
  /** When WebSocket is tried there again, RFC 3339; empty unless the breaker is open. */
  webSocketRetryAt: string;
  user: string;
  serverIdleSeconds: number;
  idleWarnSeconds: number;
  offset: number;
  stdinOffset: number;
  window: number;
  stdinWindow: number;
  /** The same shell as before, not a new one. */
  resumed: boolean;
  /** The key to come back with: told once, when it is made. */
  resumeToken: string | null;
  /** How long the shell waits for a page that is gone; 0: not at all. */
  resumeSeconds: number;
  /** Of a file: what was found. A shell has none. */
  file?: FoundFile;
}

export interface FoundFile {
  /** It comes as a tar archive. */
  directory: boolean;
  /** In bytes; null where nobody knows it. */
  size: number | null;
}

/** What was carried of a file, as the server has counted it. */
export interface CarriedFile {
  bytes: number;
  /** In lowercase hex. */
  sha256: string;
  /** The container has the same sum. */
  verified: boolean;
}

export interface ErrorFrame {
  type: "error";
  code: string;
  message: string;
  retryable: boolean;
  requestId: string;
  activeSessions: ActiveSession[];
}

export interface ClosedFrame {
  type: "closed";
  reason: string;
  exitCode: number | null;
  message: string;
  /** A shell has none. */
  file?: CarriedFile;
}

export type ServerFrame =
  | HelloFrame
  | ErrorFrame
  | ClosedFrame
  | { type: "stdin_ack"; offset: number }
  | { type: "pong"; id: number }
  | { type: "gap"; from: number; to: number; why: string }
  | { type: "idle_warn"; secondsRemaining: number };

type Fields = Record<string, unknown>;

/** Defaults of the contract, for a server that leaves the fields out. */
const WINDOW = 131_072;
const STDIN_WINDOW = 65_536;

function str(fields: Fields, key: string): string {
  const value = fields[key];
  return typeof value === "string" ? value : "";
}

/** A byte count or a number of seconds: whole and not negative, else the fallback. */
function count(fields: Fields, key: string, fallback = 0): number {
  const value = fields[key];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
}

function activeSessions(value: unknown): ActiveSession[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter((item): item is Fields => typeof item === "object" && item !== null)
    .map((item) => ({
      sessionId: str(item, "sessionId"),
      cluster: str(item, "cluster"),
      namespace: str(item, "namespace"),
      pod: str(item, "pod"),
      container: str(item, "container"),
      startedAt: str(item, "startedAt"),
      lastActivityAt: str(item, "lastActivityAt"),
      state: item.state === "detached" ? "detached" : "attached",
    }));
}

function hello(f: Fields): HelloFrame {
  return {
    type: "hello",
    sessionId: str(f, "sessionId"),
    cluster: str(f, "cluster"),
    namespace: str(f, "namespace"),
    pod: str(f, "pod"),
    container: str(f, "container"),
    shell: str(f, "shell"),
    tty: f.tty !== false,
    transport: str(f, "transport"),
    circuitBreaker: str(f, "circuitBreaker"),
    webSocketRetryAt: str(f, "webSocketRetryAt"),
    user: str(f, "user"),
    serverIdleSeconds: count(f, "serverIdleSeconds"),
    idleWarnSeconds: count(f, "idleWarnSeconds"),
    offset: count(f, "offset"),
    stdinOffset: count(f, "stdinOffset"),
    window: count(f, "window", WINDOW) || WINDOW,
    stdinWindow: count(f, "stdinWindow", STDIN_WINDOW) || STDIN_WINDOW,
    resumed: f.resumed === true,
    resumeToken: str(f, "resumeToken") || null,
    resumeSeconds: count(f, "resumeSeconds"),
    file: found(fields(f.file)),
  };
}

function fields(value: unknown): Fields | null {
  return typeof value === "object" && value !== null ? (value as Fields) : null;
}

function found(f: Fields | null): FoundFile | undefined {
  if (!f) return undefined;
  const size = count(f, "size", -1);
  return { directory: f.directory === true, size: size < 0 ? null : size };
}

function carried(f: Fields | null): CarriedFile | undefined {
  return f ? { bytes: count(f, "bytes"), sha256: str(f, "sha256"), verified: f.verified === true } : undefined;
}

function error(f: Fields): ErrorFrame {
  return {
    type: "error",
    code: str(f, "code") || "E_INTERNAL",
    message: str(f, "message"),
    retryable: f.retryable === true,
    requestId: str(f, "requestId"),
    activeSessions: activeSessions(f.activeSessions),
  };
}

function closed(f: Fields): ClosedFrame {
  const exitCode = f.exitCode;
  return {
    type: "closed",
    reason: str(f, "reason"),
    exitCode: typeof exitCode === "number" ? exitCode : null,
    message: str(f, "message"),
    file: carried(fields(f.file)),
  };
}

/** One text frame, every field checked; null for anything this page does not know, which it then passes over. */
export function parseFrame(text: string): ServerFrame | null {
  const f = parseObject(text);
  if (!f) return null;
  switch (f.type) {
    case "hello":
      return hello(f);
    case "error":
      return error(f);
    case "closed":
      return closed(f);
    case "stdin_ack":
      return { type: "stdin_ack", offset: count(f, "offset") };
    case "pong":
      return { type: "pong", id: count(f, "id") };
    case "gap":
      return { type: "gap", from: count(f, "from"), to: count(f, "to"), why: str(f, "why") };
    case "idle_warn":
      return { type: "idle_warn", secondsRemaining: count(f, "secondsRemaining") };
    default:
      return null;
  }
}

function parseObject(text: string): Fields | null {
  try {
    return fields(JSON.parse(text));
  } catch {
    return null;
  }
}
