import { Store } from "../lib/store.ts";
import { ApiFault, BAD_ANSWER, OFFLINE } from "./fault.ts";

/** Whether the last request got any answer from the server at all. */
export const reachable = new Store(true);

/** Counts the answers that said "sign in": the shell of the page shows its sign-in view on a change. */
export const signedOut = new Store(0);

const REQUEST_ID = "X-Request-Id";
/** Longer than the server lets a call to a cluster take, so that its own sentence arrives first. */
const TIMEOUT_MS = 45_000;

interface RequestOptions {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
}

export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const requestId = response.headers.get(REQUEST_ID) ?? "";
  const body = await readJson(response, requestId);
  if (!response.ok) throw refusal(response, body, requestId);
  return body as T;
}

async function send(path: string, { method = "GET", body, signal }: RequestOptions): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    reachable.set(true);
    return response;
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    reachable.set(false);
    throw new ApiFault(OFFLINE, "The Periscope server did not answer.", 0, "");
  }
}

async function readJson(response: Response, requestId: string): Promise<unknown> {
  if (response.status === 204) return undefined;
  try {
    return await response.json();
  } catch {
    // A proxy's own error page, or a cut answer.
    const said = `Something in front of the server answered ${response.status} and it was not JSON.`;
    throw new ApiFault(BAD_ANSWER, said, response.status, requestId);
  }
}

function refusal(response: Response, body: unknown, requestId: string): ApiFault {
  if (response.status === 401) signedOut.update((count) => count + 1);
  const said = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  return new ApiFault(
    text(said.error) || BAD_ANSWER,
    text(said.message) || `The server answered ${response.status}.`,
    response.status,
    text(said.requestId) || requestId,
    text(said.message) !== "",
    text(said.since) || null,
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
