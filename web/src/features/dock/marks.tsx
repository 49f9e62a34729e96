import { Bell } from "lucide-react";
import { clock } from "../../lib/clock.ts";
import { formatClock } from "../../lib/time.ts";
import { useStore } from "../../ui/useStore.ts";
import { DOTS, pillLooks, pillWords } from "./pill.ts";
import type { ShellState } from "./shell.ts";

export function PhaseDot({ phase }: { phase: ShellState["phase"] }) {
  return <span aria-hidden className={`size-2 shrink-0 ${DOTS[phase]}`} />;
}

/** A bell that rang, or a dot for new output. */
export function NewsMark({ state }: { state: Pick<ShellState, "unread" | "rang"> }) {
  if (state.rang) return <Bell aria-hidden className="size-3 shrink-0 text-attention" />;
  return state.unread ? <span aria-hidden className="size-1.5 shrink-0 rounded-full bg-accent" /> : null;
}

/** The same in words. */
export function newsWords({ unread, rang, idleUntil }: Pick<ShellState, "unread" | "rang" | "idleUntil">): string[] {
  return [unread ? "new output" : "", rang ? "bell" : "", idleUntil === null ? "" : "ends soon"].filter(Boolean);
}

/** Why it ended, or where it is, stands in full under the header: there the pill gives way before the name does. */
const toldBelow = ({ phase }: ShellState) => phase === "ended" || phase === "away";

/** The state of a shell that is in view, which is also read out and what tests look for. */
export function LivePill({ state }: { state: ShellState }) {
  return (
    <span
      role="status"
      data-testid="shell-state"
      data-phase={state.phase}
      className={`inline-flex ${toldBelow(state) ? "min-w-16 shrink-9999" : "shrink-0"}`}
    >
      <Pill state={state} />
    </span>
  );
}

/** connecting; connected · 02:14; reconnecting (3); same shell resumed; ended: the shell exited; not opened: not allowed */
export function Pill({ state }: { state: ShellState }) {
  const words = pillWords(state);
  return (
    <span
      className={`inline-flex h-5 min-w-0 items-center ${toldBelow(state) ? "shrink" : "shrink-0"} rounded-full px-2 text-xs font-medium whitespace-nowrap ${pillLooks(state)}`}
    >
      <span className="truncate">{words || <Connected since={state.connectedAt} />}</span>
    </span>
  );
}

function Connected({ since }: { since: number }) {
  const now = useStore(clock);
  return (
    <>
      <span className="@max-md:sr-only">connected </span>
      <span aria-hidden>
        <span className="@max-md:hidden">· </span>
        {formatClock(now - since)}
      </span>
    </>
  );
}
