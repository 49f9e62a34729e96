import { closeSentence, errorSentence } from "../../api/sentences.ts";
import type { ActiveSession } from "../../api/types.ts";
import type { ExecEnd } from "../../stream/exec.ts";
import type { ClosedFrame, ErrorFrame } from "../../stream/frames.ts";

/** Everything the page says about the end of a shell. */
export interface Ending {
  /** A few words for the pill: "ended: …", "not opened: …". */
  title: string;
  /** What the server said, where it said something of its own. */
  detail: string;
  /** What to do, unless the detail says it. */
  next: string;
  exitCode: number | null;
  /** The reader caused it or it is the usual end; anything else is marked as trouble. */
  calm: boolean;
  signIn: boolean;
  requestId: string;
  /** The error that kept it from opening; empty for other ends. */
  code: string;
  activeSessions: ActiveSession[];
}

const CALM = new Set(["client_close", "completed", "taken_over"]);

/** Ends in which the exit code is the shell's own and means something. */
const SHELLS_OWN = new Set(["completed", "container_exit"]);

export const nothingMore = {
  detail: "",
  exitCode: null,
  calm: false,
  signIn: false,
  requestId: "",
  code: "",
  activeSessions: [],
};

/** The page itself ended the shell, after so many seconds out of sight. */
export function hiddenEnding(seconds: number): Ending {
  const time = seconds === 60 ? "1 minute" : seconds % 60 === 0 ? `${seconds / 60} minutes` : `${seconds} seconds`;
  return {
    ...nothingMore,
    title: "the page was hidden too long",
    detail: `This page was hidden for ${time} in which nothing was typed or printed here, so it closed the shell.`,
    next: "Open a new shell to go on. How long a hidden page waits is in the settings.",
  };
}

/** Its owner gave up before there was a shell. */
export const cancelledEnding: Ending = {
  ...nothingMore,
  title: "you cancelled",
  calm: true,
  next: "The debug container may come up all the same; a new shell uses it then.",
};

export const pageEnding: Ending = {
  ...nothingMore,
  title: "the terminal could not be loaded",
  next: "Reload the page: the server may have been updated, or the network is down.",
};

/** It runs on where it is; only here it is not to be had. */
export const notTakenOver: Ending = {
  ...nothingMore,
  title: "cannot be taken over",
  detail:
    "The shell is still open, but only where it was opened: the server keeps no way back to shells, or whatever opened this one has none.",
  next: "Go on there, or open a new shell here.",
};

/** How long the shell was without a page, and how long the server keeps one so; 0: not known. */
export interface Away {
  seconds: number;
  graceSeconds: number;
}

/** `ran`: there was a shell before this end. */
export function endingOf(end: ExecEnd, away: Away = { seconds: 0, graceSeconds: 0 }, ran = false): Ending {
  switch (end.kind) {
    case "lost":
      return lost(end.hadShell);
    case "refused":
      return refused(end.error);
    case "gone":
      return gone(away);
    case "unreached":
      return unreached(away);
    case "left":
      return left(away);
    case "said":
      return said(end, ran);
  }
}

function said({ closed, error }: Extract<ExecEnd, { kind: "said" }>, ran: boolean): Ending {
  if (error && ran && closed.reason === "tunnel_closed") return cutOff(error);
  if (error) return refused(error);
  const { title, next } = closeSentence(closed.reason);
  return {
    ...nothingMore,
    title,
    next,
    detail: saysNoMore(closed) ? "" : closed.message,
    exitCode: SHELLS_OWN.has(closed.reason) ? closed.exitCode : null,
    calm: CALM.has(closed.reason),
    signIn: closed.reason === "unauthorized",
  };
}

/** Of a shell that exited the server says its exit code in a sentence; it stands beside the title. */
function saysNoMore({ reason, exitCode, message }: ClosedFrame): boolean {
  return reason === "completed" && exitCode !== null && message === `The program ended with exit code ${exitCode}.`;
}

/** A shell whose cluster's agent did not come back in time: it ran, so that nothing was refused. */
function cutOff({ message, requestId }: ErrorFrame): Ending {
  return { ...nothingMore, ...closeSentence("tunnel_closed"), detail: message, requestId };
}

function gone({ seconds, graceSeconds }: Away): Ending {
  const late = graceSeconds > 0 && seconds >= graceSeconds;
  return {
    ...nothingMore,
    title: "the shell is gone",
    detail: late
      ? `No page was connected to it for ${duration(seconds)}; the server keeps a shell for ${duration(graceSeconds)}.`
      : "The server does not have it any more: it was restarted, or the shell was ended meanwhile.",
    next: "What ran in it has ended. Open a new shell to go on.",
  };
}

function unreached({ graceSeconds }: Away): Ending {
  const title = "the server could not be reached";
  if (graceSeconds === 0) {
    return {
      ...nothingMore,
      title,
      detail: "The page tried for a while and got no answer.",
      next: "The shell may still be open: once the network is back, look on the page Sessions, or open a new one.",
    };
  }
  return {
    ...nothingMore,
    title,
    detail: `The page tried for ${duration(graceSeconds)}, as long as the server keeps a shell.`,
    next: "Open a new shell to go on, once the network is back.",
  };
}

function left({ graceSeconds }: Away): Ending {
  const otherwise =
    graceSeconds === 0 ? "the shell goes on where it is" : `it ends the shell within ${duration(graceSeconds)}`;
  return {
    ...nothingMore,
    title: "you disconnected",
    detail: `The server could not be told yet. It is told as soon as it can be reached; else ${otherwise}.`,
    next: "Open a new shell to go on.",
    calm: true,
  };
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} seconds`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} minutes` : `${Math.floor(minutes / 60)} hours`;
}

function lost(hadShell: boolean): Ending {
  if (hadShell) {
    return { ...nothingMore, title: "connection lost", next: "The shell was ended with it. Open a new one to go on." };
  }
  return {
    ...nothingMore,
    title: "no connection",
    next: "The server did not accept the connection, or a proxy in between does not let WebSockets through. Try again.",
  };
}

function refused(error: ErrorFrame): Ending {
  const { title, next } = errorSentence(error.code);
  return {
    ...nothingMore,
    title: title.charAt(0).toLowerCase() + title.slice(1),
    // The server's sentence says what to do, and knows more.
    next: error.message ? "" : next,
    detail: error.message,
    signIn: error.code === "E_UNAUTHENTICATED",
    requestId: error.requestId,
    code: error.code,
    activeSessions: error.activeSessions,
  };
}

/** The shells of which ending one makes room: a cluster's own limit is lowered only by one in it. */
export function inTheWay({ code, activeSessions }: Ending, cluster: string): ActiveSession[] {
  if (code === "E_CAP_USER") return activeSessions;
  if (code === "E_CAP_CLUSTER") return activeSessions.filter((session) => session.cluster === cluster);
  return [];
}
