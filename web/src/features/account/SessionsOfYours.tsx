import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Monitor, Smartphone, Terminal } from "lucide-react";
import { type ReactNode, useState } from "react";
import { endLogin } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { loginsQuery, sessionsQuery } from "../../api/queries.ts";
import type { Login } from "../../api/types.ts";
import { clock } from "../../lib/clock.ts";
import { notify } from "../../lib/notice.ts";
import { formatAbsolute, formatLeft } from "../../lib/time.ts";
import { Age } from "../../ui/Age.tsx";
import { Badge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Fault, FaultNote, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { useStore } from "../../ui/useStore.ts";
import { agentWords, readAgent } from "./agent.ts";

interface SessionsOfYoursProps {
  who: string;
  /** The list of one's own shells. */
  shells: ReactNode;
  onSignOut(): void;
  onSignOutEverywhere(): void;
}

/** Where one is signed in, and which shells one has. */
export function SessionsOfYours({ who, shells, onSignOut, onSignOutEverywhere }: SessionsOfYoursProps) {
  const { query: list, waiting, failure } = useAsked(loginsQuery());
  const [ending, setEnding] = useState<Login[]>([]);
  const others = list.data?.filter(({ current }) => !current) ?? [];
  return (
    <div className="h-full overflow-auto">
      <Stale
        what="Your sessions"
        at={list.dataUpdatedAt}
        fault={list.isRefetchError ? explain(list.error) : null}
        retry={() => void list.refetch()}
      />
      <div className="mx-auto max-w-5xl px-4 py-5">
        <header className="mb-5 flex flex-wrap items-center gap-x-3 gap-y-2">
          <h1 className="text-xl font-semibold">Your sessions</h1>
          <Button className="ml-auto" onClick={onSignOutEverywhere}>
            Sign out everywhere…
          </Button>
        </header>
        <section aria-labelledby="browsers" className="mb-8">
          <div className="mb-2 flex min-h-8 flex-wrap items-center gap-x-3 gap-y-1">
            <h2 id="browsers" className="text-sm font-semibold">
              Browsers
            </h2>
            <p className="text-xs text-muted">Ending one ends the shells that were opened in it.</p>
            {others.length > 1 ? (
              <Button size="sm" className="ml-auto" onClick={() => setEnding(others)}>
                End all others
              </Button>
            ) : null}
          </div>
          {list.data ? <Logins logins={list.data} onEnd={(login) => setEnding([login])} onSignOut={onSignOut} /> : null}
          {waiting ? <Skeleton rows={2} label="Loading your sessions" /> : null}
          {failure ? <Fault fault={explain(failure)} who={who} retry={() => list.refetch()} /> : null}
        </section>
        <section aria-labelledby="shells">
          <h2 id="shells" className="mb-2 text-sm font-semibold">
            Shells
          </h2>
          {shells}
        </section>
      </div>
      {ending.length > 0 ? <EndLogins logins={ending} onClose={() => setEnding([])} /> : null}
    </div>
  );
}

interface LoginsProps {
  logins: readonly Login[];
  onEnd(login: Login): void;
  onSignOut(): void;
}

/** More than most people have; the others are a click away. */
const SHOWN = 5;

function Logins({ logins, onEnd, onSignOut }: LoginsProps) {
  const [all, setAll] = useState(false);
  const sorted = newestFirst(logins);
  const shown = all || sorted.length <= SHOWN + 1 ? sorted : sorted.slice(0, SHOWN);
  return (
    <div className="overflow-hidden rounded-lg border border-line bg-surface">
      <ul aria-label="Browsers">
        {shown.map((login) => (
          <LoginRow key={login.id} login={login} onEnd={login.current ? onSignOut : () => onEnd(login)} />
        ))}
      </ul>
      {shown.length < sorted.length ? (
        <button
          type="button"
          onClick={() => setAll(true)}
          className="h-9 w-full border-t border-line text-xs text-muted outline-offset-[-2px] hover:bg-hover hover:text-text"
        >
          Show {sorted.length - shown.length} more
        </button>
      ) : null}
    </div>
  );
}

/** This browser, then those that were active last. */
function newestFirst(logins: readonly Login[]): Login[] {
  return [...logins].sort(
    (a, b) => Number(b.current) - Number(a.current) || Date.parse(b.activeAt) - Date.parse(a.activeAt),
  );
}

const ICONS = { desktop: Monitor, phone: Smartphone, program: Terminal };

function LoginRow({ login, onEnd }: { login: Login; onEnd(): void }) {
  const now = useStore(clock);
  const agent = readAgent(login.agent);
  const words = agentWords(agent);
  const Icon = ICONS[agent.kind];
  return (
    <li className="flex items-center gap-3 border-b border-line px-4 py-3 last:border-0">
      <Icon aria-hidden className="size-5 shrink-0 text-muted max-sm:hidden" strokeWidth={1.75} />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-2 text-sm font-medium">
          <span title={login.agent} className="truncate">
            {words}
          </span>
          {login.current ? <Badge tone="accent">This browser</Badge> : null}
        </p>
        <p className="mt-0.5 flex flex-wrap gap-x-3 text-xs text-muted">
          <span>
            signed in <Age at={login.createdAt} suffix=" ago" />
          </span>
          <span>
            active <Age at={login.activeAt} suffix=" ago" />
          </span>
          <span title={formatAbsolute(login.expiresAt)}>ends in {formatLeft(login.expiresAt, now)} at the latest</span>
        </p>
      </div>
      <Button
        size="sm"
        aria-label={login.current ? "Sign out of this browser" : `End the login in ${words}`}
        onClick={onEnd}
      >
        {login.current ? "Sign out" : "End"}
      </Button>
    </li>
  );
}

/** Asks once, ends them, and says what became of it. */
function EndLogins({ logins, onClose }: { logins: readonly Login[]; onClose(): void }) {
  const queries = useQueryClient();
  const [first] = logins;
  const one = logins.length === 1 && first ? agentWords(readAgent(first.agent)) : "";
  const end = useMutation({
    mutationFn: () => Promise.all(logins.map(({ id }) => endLogin(id))),
    onSuccess: () => {
      notify(one ? `${one} is signed out` : `${logins.length} browsers are signed out`);
      onClose();
    },
    // Some may have ended before one failed.
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: loginsQuery().queryKey });
      void queries.invalidateQueries({ queryKey: sessionsQuery().queryKey });
    },
  });
  return (
    <Modal
      onClose={onClose}
      title={one ? "End this login?" : `End ${logins.length} logins?`}
      description={`${one || "Every browser but this one"} is signed out, and the shells that were opened there end.`}
    >
      {end.isError ? <FaultNote lead="Not everything was ended." fault={explain(end.error)} /> : null}
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={onClose}>
          {one ? "Keep it" : "Keep them"}
        </Button>
        <Button look="danger" disabled={end.isPending} onClick={() => end.mutate()}>
          {end.isPending ? "Ending" : one ? "End login" : "End logins"}
        </Button>
      </div>
    </Modal>
  );
}
