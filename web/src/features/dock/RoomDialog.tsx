import { useMutation } from "@tanstack/react-query";
import { endExecSession } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import type { ActiveSession } from "../../api/types.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FaultNote } from "../../ui/states.tsx";
import { useStore } from "../../ui/useStore.ts";
import { type Ending, inTheWay } from "./ending.ts";
import type { Shell } from "./shell.ts";
import { focusActive, liveShells, makeRoom, renewShell } from "./store.ts";

/** For a shell that a limit keeps from opening: which other one to end in its place. */
export function RoomDialog({ shell }: { shell: Shell | null }) {
  return shell ? <Choice key={shell.id} shell={shell} /> : null;
}

function Choice({ shell }: { shell: Shell }) {
  const { ending } = useStore(shell.state);
  const end = useMutation({
    mutationFn: endExecSession,
    onSuccess: () => {
      makeRoom(null);
      renewShell(shell);
    },
  });
  if (!ending) return null;
  const sessions = inTheWay(ending, shell.target.cluster);
  return (
    <Modal
      onClose={() => makeRoom(null)}
      focusAfter={focusActive}
      width="max-w-xl"
      title={titleOf(ending, shell, sessions.length)}
      description={`End one of them, and the shell in ${shell.target.pod} opens in its place.`}
    >
      {end.isError ? <FaultNote lead="It was not ended." fault={explain(end.error)} /> : null}
      <ul
        aria-label="Your open shells"
        className="max-h-80 divide-y divide-line overflow-auto rounded-md border border-line"
      >
        {sessions.map((session) => (
          <InTheWay
            key={session.sessionId}
            session={session}
            busy={end.isPending}
            ending={end.isPending && end.variables === session.sessionId}
            onEnd={() => end.mutate(session.sessionId)}
          />
        ))}
      </ul>
      <div className="mt-4 flex justify-end">
        {/* The dialog comes while one may be typing: what a key does by mistake must end nothing. */}
        <Button autoFocus onClick={() => makeRoom(null)}>
          Keep them all
        </Button>
      </div>
    </Modal>
  );
}

function titleOf(ending: Ending, shell: Shell, count: number): string {
  if (ending.code === "E_CAP_CLUSTER") return `${shell.target.cluster} is at its limit of open shells`;
  return count === 1 ? "You are already in another shell" : `You are already in ${count} shells`;
}

interface InTheWayProps {
  session: ActiveSession;
  busy: boolean;
  ending: boolean;
  onEnd(): void;
}

function InTheWay({ session, busy, ending, onEnd }: InTheWayProps) {
  const { cluster, namespace, pod, container, startedAt, lastActivityAt, state } = session;
  const here = liveShells().some((shell) => shell.sessionId === session.sessionId);
  return (
    <li className="flex items-center gap-3 px-3 py-2">
      <div className="min-w-0 flex-1">
        <p title={pod} className="truncate font-mono text-xs font-bold">
          {pod}
        </p>
        <p className="truncate font-mono text-xs text-muted">
          {cluster} · {namespace} · {container}
        </p>
        <p className="text-xs text-muted">
          {state}, open <Age at={startedAt} />, idle <Age at={lastActivityAt} />
          {here ? ", in this window" : ""}
        </p>
      </div>
      <Button size="sm" disabled={busy} aria-label={`End the shell in ${pod}`} onClick={onEnd}>
        {ending ? "Ending" : "End"}
      </Button>
    </li>
  );
}
