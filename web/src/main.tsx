import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { AGENT_DISCONNECTED, asFault } from "./api/fault.ts";
import { clustersQuery } from "./api/queries.ts";
import { Pages } from "./app/router.tsx";
import { AuthGate } from "./features/auth/AuthGate.tsx";
import { preloadKept } from "./features/dock/restore.ts";
import { followTheme } from "./lib/theme.ts";
import { ErrorBoundary } from "./ui/ErrorBoundary.tsx";
import { TipProvider } from "./ui/Tip.tsx";

/** A refusal stays a refusal; only where there was no good answer is it worth asking once more. */
function retry(failures: number, error: Error): boolean {
  const { status } = asFault(error);
  return failures < 1 && (status === 0 || status >= 500);
}

/** An answer that an agent is away comes before the list of clusters is asked again: then it is asked at once. */
function notice(error: Error): void {
  if (asFault(error).code === AGENT_DISCONNECTED) void queries.invalidateQueries(clustersQuery());
}

const queries = new QueryClient({
  queryCache: new QueryCache({ onError: notice }),
  defaultOptions: { queries: { retry, staleTime: 2_000, gcTime: 5 * 60_000, networkMode: "always" } },
});

followTheme();
preloadKept();

const place = document.getElementById("root");
if (!place) throw new Error("index.html has no #root");

createRoot(place).render(
  <ErrorBoundary what="Periscope">
    <QueryClientProvider client={queries}>
      <TipProvider>
        <AuthGate>{(who) => <Pages who={who} />}</AuthGate>
      </TipProvider>
    </QueryClientProvider>
  </ErrorBoundary>,
);
