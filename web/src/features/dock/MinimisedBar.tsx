import { Bell, ChevronsUpDown, ChevronUp, SquareTerminal } from "lucide-react";
import { useEffect, useRef } from "react";
import { IconButton } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { LivePill, PhaseDot } from "./marks.tsx";
import { newsOf } from "./news.ts";
import { ShellPicker } from "./ShellPicker.tsx";
import { dock, selectShell, setPicking } from "./store.ts";
import { TailName } from "./TailName.tsx";
import { useShells } from "./useShells.ts";

/** All that is left of the dock while one looks at something else: how many shells there are, what is new in them, and the way to each. */
export function MinimisedBar() {
  const shells = useShells();
  const { activeId, picking } = useStore(dock);
  const active = shells.find(({ shell }) => shell.id === activeId);
  const bar = useRef<HTMLButtonElement>(null);
  // The terminal that had the keyboard has left the page.
  useEffect(() => {
    if (document.activeElement === document.body) bar.current?.focus();
  }, []);
  const restore = () => selectShell(activeId);
  const count = `${shells.length} ${shells.length === 1 ? "shell" : "shells"}`;
  return (
    <div className="flex h-9 shrink-0 items-center gap-1 bg-bg pr-1 max-sm:h-11">
      <button
        ref={bar}
        type="button"
        onClick={restore}
        title="Restore (Ctrl+`)"
        className="flex h-full min-w-0 flex-1 items-center gap-3 pl-3 text-xs outline-offset-[-2px] hover:bg-hover"
      >
        <span className="flex shrink-0 items-center gap-2 font-medium">
          <SquareTerminal aria-hidden className="size-4 text-muted" />
          {count}
        </span>
        {active ? (
          <span className="flex min-w-0 items-center gap-2">
            <PhaseDot phase={active.state.phase} />
            <TailName
              name={active.name}
              given={active.state.name !== ""}
              className={active.state.name ? "font-medium" : "font-mono"}
            />
            <span className="contents max-sm:hidden">
              <LivePill state={active.state} />
            </span>
          </span>
        ) : null}
        <NewsCount states={shells.map(({ state }) => state)} />
      </button>
      <ShellPicker
        label="All shells"
        open={picking === "show"}
        onOpenChange={(open) => setPicking(open ? "show" : "")}
        current={activeId}
        onChoose={selectShell}
        trigger={
          <button
            type="button"
            aria-label="All shells"
            title="All shells (Ctrl+Shift+`)"
            className="inline-flex h-7 shrink-0 items-center gap-1.5 rounded-md border border-line-strong bg-surface px-2.5 text-xs hover:bg-hover data-[state=open]:bg-hover max-sm:size-9 max-sm:justify-center max-sm:px-0"
          >
            <span className="max-sm:hidden">All shells</span>
            <ChevronsUpDown aria-hidden className="size-3.5 text-muted" />
          </button>
        }
      />
      <IconButton
        label="Restore"
        keys="Ctrl+`"
        icon={<ChevronUp className="size-4" />}
        onClick={restore}
        className="max-sm:size-9"
      />
    </div>
  );
}

function NewsCount({ states }: { states: { unread: boolean; rang: boolean }[] }) {
  const { unread, rang } = newsOf(states);
  if (unread === 0) return null;
  return (
    <span className="ml-auto flex shrink-0 items-center gap-3 pr-2 text-muted">
      {rang > 0 ? (
        <span className="flex items-center gap-1.5 text-attention">
          <Bell aria-hidden className="size-3" />
          <span>
            {rang} <span className="max-sm:sr-only">rang</span>
          </span>
        </span>
      ) : null}
      {unread > rang ? (
        <span className="flex items-center gap-1.5 text-text">
          <span aria-hidden className="size-1.5 rounded-full bg-accent" />
          <span>
            {unread - rang} <span className="max-sm:sr-only">with new output</span>
          </span>
        </span>
      ) : null}
    </span>
  );
}
