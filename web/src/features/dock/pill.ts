import type { AwayWhy, ShellState } from "./shell.ts";

const AWAY: Record<AwayWhy, string> = {
  hidden: "paused: the page was hidden",
  taken: "taken over elsewhere",
  elsewhere: "open in another window",
};

/** What the pill says; empty: connected, and for how long. */
export function pillWords(state: ShellState): string {
  const { phase, preparing, doubtful, tries, away, remark, ending, connectedAt } = state;
  switch (phase) {
    case "connecting":
      return preparing ? "starting debug container" : "connecting";
    case "reconnecting":
      return tries > 0 ? `reconnecting (${tries})` : "reconnecting";
    case "away":
      return away ? AWAY[away] : "";
    case "ended":
      return `${connectedAt > 0 ? "ended" : "not opened"}: ${ending?.title ?? ""}`;
    case "connected":
      return doubtful ? "connected, but not answering" : remark;
  }
}

const ATTENTION = "bg-attention-soft text-attention";

export function pillLooks({ phase, doubtful, ending }: ShellState): string {
  switch (phase) {
    case "connecting":
    case "reconnecting":
      return ATTENTION;
    case "away":
      return "bg-sunken text-muted";
    case "ended":
      return ending?.calm ? "bg-sunken text-muted" : "bg-broken-soft text-broken";
    case "connected":
      return doubtful ? ATTENTION : "bg-ok-soft text-ok";
  }
}

/** Filled: running; a ring: not connected here; a square: ended. The shape says it, the colour repeats it. */
export const DOTS: Record<ShellState["phase"], string> = {
  connecting: "rounded-full border-2 border-attention",
  connected: "rounded-full bg-ok",
  reconnecting: "rounded-full border-2 border-attention",
  away: "rounded-full border-2 border-line-strong",
  ended: "rounded-[2px] bg-line-strong",
};
