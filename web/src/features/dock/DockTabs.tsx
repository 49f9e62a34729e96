import { ChevronDown, Columns2, Expand, Layers, Maximize2, Minimize2, Shrink, Square } from "lucide-react";
import { type DragEvent, type KeyboardEvent, useEffect, useRef, useState, type WheelEvent } from "react";
import { IconButton } from "../../ui/Button.tsx";
import { useMedia } from "../../ui/useMedia.ts";
import { useStore } from "../../ui/useStore.ts";
import { fullScreen, toggleFullScreen } from "./fullscreen.ts";
import { ShellPicker } from "./ShellPicker.tsx";
import type { Shell } from "./shell.ts";
import {
  activeShell,
  dock,
  focusActive,
  moveShell,
  moveShellBy,
  requestClose,
  SPLIT_FITS,
  selectShell,
  setLayout,
  setPicking,
  setRenaming,
  splitNew,
  splitWith,
  toggleSplit,
  walkTabs,
} from "./store.ts";
import { Tab } from "./Tab.tsx";
import { tabId } from "./tabs.ts";
import { useShells } from "./useShells.ts";

/** How a tab names its shell while it is dragged; other pages' drags carry none. */
const DRAGGED = "application/x-periscope-shell";

export function DockTabs() {
  return (
    <div className="flex h-9 shrink-0 items-stretch border-b border-line bg-bg">
      <TabList />
      <div className="flex shrink-0 items-center gap-0.5 border-l border-line px-1">
        <FullScreenNote />
        <AllShells />
        <SplitButton />
        <SizeButtons />
      </div>
    </div>
  );
}

/** The list of tabs owns them from beside, because a tab's close button stands with it and is no tab. */
function TabList() {
  const shells = useShells();
  const { activeId, panes, renaming } = useStore(dock);
  const strip = useRef<HTMLDivElement>(null);
  const [dropAt, setDropAt] = useState(-1);

  useEffect(() => {
    document.getElementById(`${activeId}-tab`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [activeId]);

  const owned = shells.filter(({ shell }) => shell.id !== renaming);
  const over = (event: DragEvent) => {
    if (!event.dataTransfer.types.includes(DRAGGED)) return;
    event.preventDefault();
    setDropAt(placeAt(event.currentTarget, event.clientX));
  };
  const drop = (event: DragEvent) => {
    const id = event.dataTransfer.getData(DRAGGED);
    const from = shells.findIndex(({ shell }) => shell.id === id);
    setDropAt(-1);
    if (from < 0) return;
    event.preventDefault();
    const to = placeAt(event.currentTarget, event.clientX);
    moveShell(id, to > from ? to - 1 : to);
  };
  const wheel = (event: WheelEvent) => {
    if (event.deltaX === 0) strip.current?.scrollBy({ left: event.deltaY });
  };
  return (
    <>
      <div
        role="tablist"
        aria-label="Shells"
        aria-owns={owned.map(({ shell }) => tabId(shell)).join(" ")}
        className="sr-only"
      />
      <div
        ref={strip}
        onDragOver={over}
        onDragLeave={(event) => event.currentTarget === event.target && setDropAt(-1)}
        onDrop={drop}
        onDragEnd={() => setDropAt(-1)}
        onWheel={wheel}
        className="flex min-w-0 flex-1 overflow-x-auto [scrollbar-width:none]"
      >
        {shells.map(({ shell, state, name }, at) => (
          <Tab
            key={shell.id}
            shell={shell}
            state={state}
            name={name}
            selected={shell.id === activeId}
            inView={shell.id === activeId || (panes?.includes(shell.id) ?? false)}
            renaming={shell.id === renaming}
            dropHere={dropAt === at ? "before" : dropAt === shells.length && at === shells.length - 1 ? "after" : null}
            onDragStart={(event) => {
              event.dataTransfer.setData(DRAGGED, shell.id);
              event.dataTransfer.effectAllowed = "move";
            }}
            onKeyDown={(event) => tabKey(event, shell)}
          />
        ))}
      </div>
    </>
  );
}

/** Before which of its children a thing dropped at `x` belongs; their number: after all. */
function placeAt(strip: Element, x: number): number {
  const tabs = [...strip.children];
  const at = tabs.findIndex((tab) => {
    const { left, width } = tab.getBoundingClientRect();
    return x < left + width / 2;
  });
  return at < 0 ? tabs.length : at;
}

const STEPS: Record<string, 1 | -1> = { ArrowRight: 1, ArrowLeft: -1 };

function tabKey(event: KeyboardEvent, shell: Shell): void {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const step = STEPS[event.key];
  if (step && event.shiftKey) moveShellBy(shell.id, step);
  else if (step) document.getElementById(`${walkTabs(shell.id, step)}-tab`)?.focus();
  else if (event.key === "F2") setRenaming(shell.id);
  else if (event.key === "Delete") requestClose(shell);
  else return;
  event.preventDefault();
}

function AllShells() {
  const { shells, activeId, picking } = useStore(dock);
  return (
    <ShellPicker
      label="All shells"
      open={picking === "show"}
      onOpenChange={(open) => setPicking(open ? "show" : "")}
      current={activeId}
      onChoose={selectShell}
      trigger={
        <button
          type="button"
          aria-label={`All shells: ${shells.length}`}
          title="All shells (Ctrl+Shift+`)"
          className="inline-flex h-7 min-w-7 shrink-0 items-center justify-center gap-1.5 rounded-md px-1.5 text-xs text-muted hover:bg-hover hover:text-text data-[state=open]:bg-hover max-sm:h-9 max-sm:min-w-10"
        >
          <Layers aria-hidden className="size-4" />
          {shells.length}
        </button>
      }
    />
  );
}

function SplitButton() {
  const state = useStore(dock);
  const fits = useMedia(SPLIT_FITS);
  const active = activeShell(state);
  if (!fits || !active) return null;
  const label = state.panes ? "Show one shell" : "Show two shells side by side";
  const icon = state.panes ? <Square className="size-4" /> : <Columns2 className="size-4" />;
  return (
    <ShellPicker
      label="Show beside"
      open={state.picking === "beside"}
      // The button itself decides whether there is anything to choose.
      onOpenChange={(open) => setPicking(open ? "beside" : "")}
      without={active.id}
      fresh={{ name: `New shell in ${active.target.pod}`, open: splitNew }}
      onChoose={splitWith}
      trigger={
        <IconButton
          label={label}
          keys="Ctrl+Shift+\"
          icon={icon}
          onClick={(event) => {
            event.preventDefault();
            if (state.picking === "beside") setPicking("");
            else toggleSplit();
          }}
        />
      }
    />
  );
}

/** How one gets out of the full screen, and whether the shell gets the browser's keys. */
function FullScreenNote() {
  const { on, keys } = useStore(fullScreen);
  if (!on) return null;
  return (
    <span role="status" className="px-2 text-xs whitespace-nowrap text-muted max-sm:hidden">
      {keys ? "Hold Esc to leave full screen" : "Esc leaves full screen; this browser keeps Ctrl+W"}
    </span>
  );
}

function SizeButtons() {
  const { layout } = useStore(dock);
  const { on } = useStore(fullScreen);
  return (
    <>
      {on ? null : layout === "full" ? (
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
        label={on ? "Leave full screen" : "Full screen"}
        keys="Ctrl+Shift+Enter"
        icon={on ? <Shrink className="size-4" /> : <Expand className="size-4" />}
        onClick={() => {
          void toggleFullScreen();
          focusActive();
        }}
        className="max-sm:hidden"
      />
      <IconButton
        label="Minimise"
        keys="Ctrl+`"
        icon={<ChevronDown className="size-4" />}
        onClick={() => setLayout("minimised")}
        className="max-sm:size-9"
      />
    </>
  );
}
