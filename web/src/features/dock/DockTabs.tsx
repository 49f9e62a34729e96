import { Bell, ChevronDown, ChevronUp, Hourglass, Maximize2, Minimize2, X } from "lucide-react";
import type { KeyboardEvent } from "react";
import { IconButton } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";
import { type DockLayout, dock, requestClose, selectNeighbour, selectShell, setLayout } from "./store.ts";

export function tabId(shell: Shell): string {
  return `${shell.id}-tab`;
}

/** The list of tabs owns them from beside, because a tab's close button stands with it and is no tab. */
export function DockTabs() {
  const { shells, activeId, layout } = useStore(dock);
  const key = (event: KeyboardEvent) => {
    const step = ({ ArrowRight: 1, ArrowLeft: -1 } as const)[event.key as "ArrowRight" | "ArrowLeft"];
    if (step) selectNeighbour(step);
  };
  return (
    <div className="flex h-9 shrink-0 items-stretch border-b border-line bg-bg">
      <div role="tablist" aria-label="Shells" aria-owns={shells.map(tabId).join(" ")} className="sr-only" />
      <div onKeyDown={key} className="flex min-w-0 flex-1 overflow-x-auto">
        {shells.map((shell) => (
          <Tab key={shell.id} shell={shell} selected={shell.id === activeId && layout !== "minimised"} />
        ))}
      </div>
      <div className="flex items-center gap-0.5 px-1">
        <LayoutButtons layout={layout} />
      </div>
    </div>
  );
}

function Tab({ shell, selected }: { shell: Shell; selected: boolean }) {
  const { phase, unread, rang, idleUntil } = useStore(shell.state);
  const { pod, container } = shell.target;
  const news = [unread ? "new output" : "", rang ? "bell" : "", idleUntil === null ? "" : "ends soon"]
    .filter(Boolean)
    .join(", ");
  return (
    <div
      className={`group flex max-w-72 shrink-0 items-center border-r border-line pl-3 ${
        selected
          ? "bg-surface text-text shadow-[inset_0_2px_0_var(--accent)]"
          : "text-muted hover:bg-hover hover:text-text"
      }`}
    >
      <button
        type="button"
        role="tab"
        id={tabId(shell)}
        aria-selected={selected}
        aria-label={`${pod}, ${container}, ${phase}${news ? `, ${news}` : ""}`}
        title={`${shell.target.cluster} · ${shell.target.namespace}/${pod} · ${container}`}
        onClick={() => selectShell(shell.id)}
        className="flex h-full min-w-0 items-center gap-2"
      >
        <PhaseDot phase={phase} />
        <span className={`flex min-w-0 font-mono text-xs whitespace-nowrap ${unread ? "font-bold text-text" : ""}`}>
          <span className="truncate">{pod.slice(0, -TAIL)}</span>
          <span>{pod.slice(-TAIL)}</span>
        </span>
        {idleUntil === null ? null : <Hourglass aria-hidden className="size-3 shrink-0 text-attention" />}
        {rang ? <Bell aria-hidden className="size-3 shrink-0 text-attention" /> : null}
        {unread && !rang ? <span aria-hidden className="size-1.5 shrink-0 rounded-full bg-accent" /> : null}
      </button>
      <button
        type="button"
        aria-label={`Close shell in ${pod}`}
        onClick={() => requestClose(shell)}
        className="mx-1 flex size-6 shrink-0 items-center justify-center rounded text-muted hover:bg-hover hover:text-text"
      >
        <X aria-hidden className="size-3.5" />
      </button>
    </div>
  );
}

/** The end of a pod's name tells it from its siblings: it is never cut off. */
const TAIL = 6;

/** Filled: running; a ring: not yet; a square: ended. The shape says it, the colour repeats it. */
function PhaseDot({ phase }: { phase: "connecting" | "connected" | "ended" }) {
  const looks = {
    connecting: "rounded-full border-2 border-attention",
    connected: "rounded-full bg-ok",
    ended: "rounded-[2px] bg-line-strong",
  };
  return <span aria-hidden className={`size-2 shrink-0 ${looks[phase]}`} />;
}

function LayoutButtons({ layout }: { layout: DockLayout }) {
  const minimised = layout === "minimised";
  return (
    <>
      {layout === "full" ? (
        <IconButton
          label="Leave full height"
          icon={<Minimize2 className="size-4" />}
          onClick={() => setLayout("panel")}
          className="max-sm:hidden"
        />
      ) : (
        <IconButton
          label="Full height"
          icon={<Maximize2 className="size-4" />}
          onClick={() => setLayout("full")}
          className="max-sm:hidden"
        />
      )}
      <IconButton
        label={minimised ? "Restore" : "Minimise"}
        keys="Ctrl+`"
        icon={minimised ? <ChevronUp className="size-4" /> : <ChevronDown className="size-4" />}
        onClick={() => setLayout(minimised ? "panel" : "minimised")}
      />
    </>
  );
}
