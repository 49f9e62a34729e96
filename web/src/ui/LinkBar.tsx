import { Unplug, Waypoints } from "lucide-react";
import { type AgentLink, lackTone, linkWords } from "../lib/link.ts";
import { Age } from "./Age.tsx";

interface LinkBarProps {
  cluster: string;
  link: AgentLink | null;
  /** Something of the cluster is shown, which may be old. Where nothing is, the page itself says that the agent is away. */
  shown: boolean;
}

/** Above what a page shows of a cluster whose agent has no link just now: what goes on, and for how long. */
export function LinkBar({ cluster, link, shown }: LinkBarProps) {
  const away = link?.state === "away";
  if (!link || link.state === "connected" || (away && !shown)) return null;
  const Icon = away ? Unplug : Waypoints;
  const look = lackTone(link) === "broken" ? "bg-broken-soft text-broken" : "bg-attention-soft text-attention";
  return (
    <div className={`flex min-h-8 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1.5 text-xs ${look}`}>
      <Icon aria-hidden className="size-3.5 shrink-0" />
      {/* The time ticks outside of what is read aloud. */}
      <p role="status" className="min-w-0 flex-1 basis-60">
        <span className="font-medium">
          <span className="font-mono">{cluster}</span> is {away ? "away" : "reconnecting"}.
        </span>{" "}
        {linkWords(link)} {shown ? "What is shown here is from before." : ""}
      </p>
      {link.since ? (
        <span className="font-mono whitespace-nowrap">
          <Age at={link.since} />
        </span>
      ) : null}
    </div>
  );
}
