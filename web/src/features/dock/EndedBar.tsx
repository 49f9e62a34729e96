import { Button } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { useStore } from "../../ui/useStore.ts";
import { DebugNote, DebugOffer, wantsDebug } from "./DebugOffer.tsx";
import { NOT_STARTED } from "./debug.ts";
import { type Ending, inTheWay } from "./ending.ts";
import { askRenewal } from "./request.ts";
import type { Shell } from "./shell.ts";
import { makeRoom, renewShell, requestClose } from "./store.ts";
import { useNeedsReason } from "./useNeedsReason.ts";

/** Under a shell that ended: what happened, and the way on. */
export function EndedBar({ shell, signIn }: { shell: Shell; signIn(): void }) {
  const { phase, ending } = useStore(shell.state);
  if (phase !== "ended" || !ending) return null;
  const room = inTheWay(ending, shell.target.cluster).length > 0;
  const debug = wantsDebug(shell, ending);
  // Of one that is only late the next try may find it running.
  const debugLeads = debug && ending.code !== NOT_STARTED;
  return (
    <div
      role={ending.calm ? "status" : "alert"}
      className="flex shrink-0 flex-wrap items-start gap-x-4 gap-y-2 border-t border-line bg-surface px-3 py-2 text-sm"
    >
      <div className="min-w-60 flex-1">
        <p>
          <span className={`font-medium ${ending.calm ? "" : "text-broken"}`}>{capital(ending.title)}</span>
          {ending.exitCode === null ? null : <span className="text-muted"> · exit code {ending.exitCode}</span>}
        </p>
        {ending.detail ? <p className="wrap-anywhere">{ending.detail}</p> : null}
        {ending.next ? <p className="text-muted">{ending.next}</p> : null}
        {debug ? <DebugNote /> : null}
        <ReportIds ending={ending} sessionId={shell.state.get().hello?.sessionId ?? ""} />
      </div>
      <div className="flex flex-wrap gap-2">
        {ending.signIn ? (
          <Button size="sm" look="primary" onClick={signIn}>
            Sign in
          </Button>
        ) : null}
        {room ? (
          <Button size="sm" look="primary" onClick={() => makeRoom(shell)}>
            End another one
          </Button>
        ) : null}
        {debug ? <DebugOffer shell={shell} leads={debugLeads} /> : null}
        {shell.awaitsReload ? (
          <Button size="sm" look="primary" onClick={() => window.location.reload()}>
            Reload the page
          </Button>
        ) : (
          <Renew shell={shell} ending={ending} leads={!ending.signIn && !room && !debugLeads} />
        )}
        <Button size="sm" onClick={() => requestClose(shell)}>
          Close
        </Button>
      </div>
    </div>
  );
}

/** `leads`: nothing else is the way on. */
function Renew({ shell, ending, leads }: { shell: Shell; ending: Ending; leads: boolean }) {
  const needsReason = useNeedsReason(shell.target);
  return (
    <Button
      size="sm"
      look={leads ? "primary" : "plain"}
      onClick={() => (needsReason ? askRenewal(shell) : renewShell(shell))}
    >
      {ending.code ? "Try again" : "New shell"}
    </Button>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function ReportIds({ ending, sessionId }: { ending: Ending; sessionId: string }) {
  if (ending.calm) return null;
  const [what, id] = ending.requestId ? ["request id", ending.requestId] : ["session id", sessionId];
  if (!id) return null;
  return (
    <p className="flex items-center gap-1 text-xs text-muted">
      {capital(what)} <code className="font-mono">{id}</code>
      <CopyButton text={id} what={what} />
    </p>
  );
}
