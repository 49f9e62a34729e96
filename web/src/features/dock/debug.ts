import { debugPod, type PodRef, pod as readPod } from "../../api/endpoints.ts";
import { asFault } from "../../api/fault.ts";
import type { Pod } from "../../api/types.ts";
import { type Ending, endingOf, nothingMore } from "./ending.ts";

/** What the page asks of a container that is to be looked into. */
export interface DebugWish extends PodRef {
  /** The one without a shell. */
  container: string;
  image: string;
  reason: string;
}

/** How long a debug container may take to run: a node that fetches an image needs most of it. */
const LIMIT_MS = 60_000;
const POLL_MS = 1_000;

/** A debug container that does not come to be, with what the page says of it. */
export class NotStarted extends Error {
  constructor(readonly ending: Ending) {
    super(ending.detail);
  }
}

/**
 * Adds the debug container, or finds the one that is there, and waits until it runs. Its name is the answer; `say` is told
 * what is happening meanwhile.
 */
export async function startDebug(wish: DebugWish, signal: AbortSignal, say: (words: string) => void): Promise<string> {
  say("Adding a debug container to the pod");
  const made = await debugPod(
    wish,
    { container: wish.container, image: wish.image, reason: wish.reason },
    signal,
  ).catch((thrown) => {
    throw refused(thrown);
  });
  const until = Date.now() + LIMIT_MS;
  for (;;) {
    const now = await look(wish, made.container, signal);
    if (now.step === "running") return made.container;
    say(now.words);
    if (now.step === "failed") throw notStarted(now.words, now.next, now.image ? WRONG_IMAGE : NOT_STARTED);
    if (Date.now() >= until)
      throw notStarted(now.words, "It may still start: try again, and the same container is used.");
    await pause(POLL_MS, signal);
  }
}

async function look(wish: DebugWish, name: string, signal: AbortSignal): Promise<Step> {
  try {
    return stepOf(await readPod(wish, signal), name);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const fault = asFault(thrown);
    if (fault.status === 403 || fault.status === 404) throw refused(thrown);
    return {
      step: "waiting",
      words: sentence("It is not known whether the debug container runs", fault.message),
      next: "",
    };
  }
}

interface Step {
  step: "waiting" | "running" | "failed";
  words: string;
  /** What to do about a failure. */
  next: string;
  /** Its image is to blame, so that only another one helps. */
  image?: boolean;
}

const OTHER_IMAGE = "Try another image, or ask whoever runs Periscope to list one that this cluster can run.";

/** Of what the node says in one word: what it means, and that waiting does not help. */
const HOPELESS: Record<string, { words: string; next: string }> = {
  ImagePullBackOff: { words: "The node cannot fetch the image, and tries again ever more rarely", next: OTHER_IMAGE },
  ErrImageNeverPull: { words: "The node has no such image, and the cluster lets it fetch none", next: OTHER_IMAGE },
  InvalidImageName: { words: "The node cannot read the name of the image", next: OTHER_IMAGE },
  CreateContainerConfigError: {
    words: "The node may not start the debug container as it is",
    next: "Where it speaks of runAsNonRoot, an image with a user other than root helps.",
  },
};

const TROUBLE: Record<string, string> = {
  ErrImagePull: "The node could not fetch the image, and tries again",
  CreateContainerError: "The node could not make the debug container, and tries again",
  RunContainerError: "The node could not start the debug container, and tries again",
};

/** How far a debug container is, by its pod. */
export function stepOf(pod: Pick<Pod, "containers">, name: string): Step {
  const container = pod.containers.find((one) => one.name === name);
  if (!container) {
    return {
      step: "failed",
      words: "The pod was replaced meanwhile, and the debug container is gone with it.",
      next: "Go back to the list and choose the new one.",
    };
  }
  const { state, reason, message, image, exitCode } = container;
  if (state === "running") return { step: "running", words: "", next: "" };
  if (state === "terminated") {
    const code = exitCode === null ? "" : ` with exit code ${exitCode}`;
    return {
      step: "failed",
      words: sentence(`The debug container ended at once${code}`, message || reason),
      next: "Its image must hold sh and sleep. Try another image.",
      image: true,
    };
  }
  const hopeless = own(HOPELESS, reason);
  if (hopeless) return { step: "failed", words: sentence(hopeless.words, message), next: hopeless.next, image: true };
  const trouble = own(TROUBLE, reason);
  if (trouble) return { step: "waiting", words: sentence(trouble, message), next: "" };
  return {
    step: "waiting",
    words: `Starting the debug container; its node fetches ${image} unless it has it`,
    next: "",
  };
}

function own<T>(table: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function sentence(words: string, why: string): string {
  const text = why.trim().replace(/\.$/, "");
  return text ? `${words}: ${text}.` : `${words}.`;
}

/** No codes of the server's: it has done its part. */
export const NOT_STARTED = "not_started";
/** The same, and the next try with this image would end so, too. */
export const WRONG_IMAGE = "wrong_image";

function notStarted(detail: string, next: string, code = NOT_STARTED): NotStarted {
  const ending = { ...nothingMore, title: "the debug container did not start", detail, next, code };
  return new NotStarted(ending);
}

function refused(thrown: unknown): NotStarted {
  const { code, message, requestId, fromServer } = asFault(thrown);
  const error = { type: "error", code, message: fromServer ? message : "", retryable: false, requestId } as const;
  return new NotStarted(endingOf({ kind: "refused", error: { ...error, activeSessions: [] } }));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}
