import { Info, Search, Unplug } from "lucide-react";
import { Popover } from "radix-ui";
import { clock } from "../../lib/clock.ts";
import { formatClock } from "../../lib/time.ts";
import { Button, IconButton } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { ShellInfo } from "./ShellInfo.tsx";
import type { Shell, ShellState } from "./shell.ts";
import { setSearching } from "./store.ts";

export function ShellHeader({ shell }: { shell: Shell }) {
  const state = useStore(shell.state);
  const { cluster, namespace, pod } = shell.target;
  const container = state.hello?.container || shell.target.container;
  const program = state.hello?.shell;
  return (
    <div className="flex h-9 shrink-0 items-center gap-2 border-b border-line pr-1 pl-3">
      <p className="flex min-w-0 items-center gap-1.5 truncate font-mono text-xs text-muted">
        <span className="max-sm:hidden">{cluster} ·</span>
        <span className="truncate text-text">
          <span className="max-sm:hidden">{namespace}/</span>
          {pod}
        </span>
        <span className="truncate">· {container}</span>
        {program ? <span className="truncate max-sm:hidden">· {program}</span> : null}
      </p>
      <Pill state={state} />
      <div className="ml-auto flex shrink-0 items-center gap-0.5">
        <IconButton label="Find in terminal" icon={<Search className="size-4" />} onClick={() => setSearching(true)} />
        <Popover.Root>
          <Popover.Trigger asChild>
            <button
              type="button"
              aria-label="About this shell"
              title="About this shell"
              className="inline-flex size-7 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text"
            >
              <Info aria-hidden className="size-4" />
            </button>
          </Popover.Trigger>
          <Popover.Portal>
            <Popover.Content
              aria-label="About this shell"
              align="end"
              side="top"
              sideOffset={6}
              collisionPadding={8}
              className="z-50 w-96 max-w-[calc(100vw-16px)] animate-fade rounded-lg border border-line bg-raised p-4 shadow-(--shadow)"
            >
              <ShellInfo shell={shell} />
            </Popover.Content>
          </Popover.Portal>
        </Popover.Root>
        <Button
          look="quiet"
          size="sm"
          disabled={state.phase === "ended"}
          onClick={() => shell.disconnect()}
          title="End this shell"
        >
          <Unplug aria-hidden className="size-3.5" />
          <span className="max-sm:sr-only">Disconnect</span>
        </Button>
      </div>
    </div>
  );
}

/** connecting; connected · 02:14; ended: the shell exited */
function Pill({ state }: { state: ShellState }) {
  const looks = {
    connecting: "bg-attention-soft text-attention",
    connected: state.doubtful ? "bg-attention-soft text-attention" : "bg-ok-soft text-ok",
    ended: state.ending?.calm ? "bg-sunken text-muted" : "bg-broken-soft text-broken",
  };
  return (
    <span
      role="status"
      data-testid="shell-state"
      data-phase={state.phase}
      className={`inline-flex h-5 min-w-0 items-center ${state.phase === "ended" ? "shrink" : "shrink-0"} rounded-full px-2 text-xs font-medium whitespace-nowrap ${looks[state.phase]}`}
    >
      <span className="truncate">
        {state.phase === "connecting" ? "connecting" : null}
        {state.phase === "connected" && state.doubtful ? "connected, but not answering" : null}
        {state.phase === "connected" && !state.doubtful ? <Connected since={state.connectedAt} /> : null}
        {state.phase === "ended" ? `ended: ${state.ending?.title ?? ""}` : null}
      </span>
    </span>
  );
}

function Connected({ since }: { since: number }) {
  const now = useStore(clock);
  return (
    <>
      connected <span aria-hidden>· {formatClock(now - since)}</span>
    </>
  );
}
