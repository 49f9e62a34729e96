import { useEffect, useRef } from "react";
import { settings } from "../../lib/settings.ts";
import { ErrorBoundary } from "../../ui/ErrorBoundary.tsx";
import { useStore } from "../../ui/useStore.ts";
import { CloseDialog } from "./CloseDialog.tsx";
import { DockTabs, tabId } from "./DockTabs.tsx";
import { EndedBar } from "./EndedBar.tsx";
import { IdleBanner } from "./IdleBanner.tsx";
import { KeyRow } from "./KeyRow.tsx";
import { PasteProgress } from "./PasteProgress.tsx";
import { ResizeHandle } from "./ResizeHandle.tsx";
import { RoomDialog } from "./RoomDialog.tsx";
import { SearchBar } from "./SearchBar.tsx";
import { ShellHeader } from "./ShellHeader.tsx";
import type { Shell } from "./shell.ts";
import { activeShell, dock } from "./store.ts";
import { preloadTerminal, watchHidden, watchPage } from "./watch.ts";

interface DockProps {
  /** After how many seconds of a hidden, silent page its shells are ended, where the reader chose nothing else. */
  hiddenSeconds: number;
  signIn(): void;
}

/** The terminal dock: it belongs to no page and survives all of them. */
export function Dock({ hiddenSeconds, signIn }: DockProps) {
  const { shells, layout, height, closing, capped } = useStore(dock);
  const shell = activeShell(useStore(dock));
  useEffect(watchPage, []);
  useEffect(preloadTerminal, []);
  const { hiddenMinutes } = useStore(settings);
  const seconds = hiddenMinutes === null ? hiddenSeconds : hiddenMinutes * 60;
  useEffect(() => watchHidden(seconds), [seconds]);

  if (shells.length === 0) return null;
  const open = layout !== "minimised" && shell !== null;
  return (
    <section
      aria-label="Terminal dock"
      className={`z-20 flex min-h-0 shrink-0 animate-rise flex-col border-t border-line-strong bg-surface ${
        layout === "full" ? "absolute inset-0" : "max-sm:data-open:absolute max-sm:data-open:inset-0"
      }`}
      data-open={open ? "" : undefined}
    >
      {open && layout === "panel" ? <ResizeHandle height={height} /> : null}
      <DockTabs />
      {open ? (
        <ErrorBoundary key={shell.id} what="this terminal">
          <div
            role="tabpanel"
            aria-labelledby={tabId(shell)}
            className="flex min-h-0 flex-col max-sm:h-auto! max-sm:max-h-none! max-sm:flex-1"
            style={layout === "full" ? { flex: 1 } : { height, maxHeight: "calc(100dvh - 160px)" }}
          >
            <ShellPanel shell={shell} signIn={signIn} />
          </div>
        </ErrorBoundary>
      ) : null}
      <CloseDialog shell={closing} />
      <RoomDialog shell={capped} />
    </section>
  );
}

function ShellPanel({ shell, signIn }: { shell: Shell; signIn(): void }) {
  const { searching } = useStore(dock);
  return (
    <>
      <ShellHeader shell={shell} />
      <PasteProgress shell={shell} />
      <div className="relative min-h-0 flex-1 bg-terminal">
        <Surface shell={shell} />
        <IdleBanner shell={shell} />
        {searching ? <SearchBar shell={shell} /> : null}
      </div>
      <EndedBar shell={shell} signIn={signIn} />
      <KeyRow shell={shell} />
    </>
  );
}

/** Where the shell's own terminal element is put while it is in view. */
function Surface({ shell }: { shell: Shell }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => (ref.current ? shell.mount(ref.current) : undefined), [shell]);
  return <div ref={ref} className="absolute inset-y-1 right-0 left-2" />;
}
