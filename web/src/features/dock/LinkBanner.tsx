import { useQuery } from "@tanstack/react-query";
import { clustersInterval, clustersQuery } from "../../api/queries.ts";
import { lackTone } from "../../lib/link.ts";
import { Age } from "../../ui/Age.tsx";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import type { Shell } from "./shell.ts";

/** While a shell's page is connected and its cluster's agent is not: why nothing is echoed. */
export function LinkBanner({ shell }: { shell: Shell }) {
  const { phase } = useStore(shell.state);
  const { cluster } = shell.target;
  const { data } = useQuery({
    ...clustersQuery(),
    enabled: phase === "connected",
    // A cluster that is reached without an agent needs no looking after from here.
    refetchInterval: ({ state }) => {
      const link = state.data?.find(({ name }) => name === cluster)?.link;
      return link ? clustersInterval([{ link }]) : false;
    },
  });
  const link = data?.find(({ name }) => name === cluster)?.link;
  if (phase !== "connected" || !link || link.state === "connected") return null;
  return (
    <Banner tone={lackTone(link)}>
      <span>{WORDS[link.state]}</span>
      {link.since ? (
        <span aria-live="off" className="font-mono">
          <Age at={link.since} />
        </span>
      ) : null}
    </Banner>
  );
}

const WORDS = {
  reconnecting:
    "The link to the cluster’s agent was cut and is being restored. The shell waits for it, and what you type is kept.",
  away: "The cluster’s agent is away. The server is ending the shells that went through it.",
};
