import { useEffect } from "react";
import { settings } from "../../lib/settings.ts";
import { ErrorBoundary } from "../../ui/ErrorBoundary.tsx";
import { useMedia } from "../../ui/useMedia.ts";
import { useStore } from "../../ui/useStore.ts";
import { CloseDialog } from "./CloseDialog.tsx";
import { CopyDialogs } from "./CopyDialogs.tsx";
import { watchCtrlW } from "./ctrlW.ts";
import { DockTabs } from "./DockTabs.tsx";
import { watchDrops } from "./drops.ts";
import { fullScreen, toggleFullScreen, watchFullScreen } from "./fullscreen.ts";
import { KeyRow } from "./KeyRow.tsx";
import { MinimisedBar } from "./MinimisedBar.tsx";
import { watchNews } from "./news.ts";
import { Pane } from "./Pane.tsx";
import { PasteDialog } from "./PasteDialog.tsx";
import { ResizeHandle } from "./ResizeHandle.tsx";
import { RoomDialog } from "./RoomDialog.tsx";
import { keepShells } from "./restore.ts";
import { SplitHandle } from "./SplitHandle.tsx";
import type { Shell } from "./shell.ts";
import { activeShell, type DockState, dock, SPLIT_FITS } from "./store.ts";
import { TransferTray } from "./TransferTray.tsx";
import { transfers } from "./transfers.ts";
import { DOCK_ID, watchKeys } from "./uses.ts";
import { watchKeyboard } from "./viewport.ts";
import { preloadTerminal, watchHidden, watchPage, watchTransfers } from "./watch.ts";

interface DockProps {
  /** Whose shells these are. */
  owner: string;
  /** After how many seconds of a hidden, silent page it lets go of its shells, where the reader chose nothing else. */
  hiddenSeconds: number;
  signIn(): void;
}

/** The terminal dock: it belongs to no page and survives all of them. */
export function Dock({ owner, hiddenSeconds, signIn }: DockProps) {
  const state = useStore(dock);
  const { shells, layout, height, closing, capped, pasting } = state;
  const shell = activeShell(state);
  const { on: fills } = useStore(fullScreen);
  useEffect(() => keepShells(owner), [owner]);
  useEffect(watchPage, []);
  useEffect(watchTransfers, []);
  useEffect(watchDrops, []);
  useEffect(preloadTerminal, []);
  useEffect(watchKeys, []);
  useEffect(watchNews, []);
  useEffect(watchFullScreen, []);
  useEffect(watchKeyboard, []);
  useEffect(watchCtrlW, []);
  const { hiddenMinutes } = useStore(settings);
  const seconds = hiddenMinutes === null ? hiddenSeconds : hiddenMinutes * 60;
  useEffect(() => watchHidden(seconds), [seconds]);
  const empty = shells.length === 0;
  // Without a shell the full screen would show a page that nobody asked to see so.
  useEffect(() => {
    if (empty && fills) void toggleFullScreen();
  }, [empty, fills]);

  // Files go on their way without the shell that they were asked for in.
  const idle = useStore(transfers).length === 0;
  if (empty && idle) return null;
  const open = layout !== "minimised" && shell !== null;
  return (
    <section
      id={DOCK_ID}
      aria-label="Terminal dock"
      className={`flex min-h-0 shrink-0 animate-rise flex-col border-t border-line-strong bg-surface ${place(layout, open && fills)} ${layout === "full" || fills ? "" : "sm:max-h-[calc(100dvh-124px)]"}`}
      data-open={open ? "" : undefined}
    >
      {open && layout === "panel" && !fills ? <ResizeHandle height={height} /> : null}
      {empty ? null : open ? <DockTabs /> : <MinimisedBar />}
      {open ? (
        <>
          <div
            className="flex min-h-0 max-sm:h-auto! max-sm:max-h-none! max-sm:flex-1"
            style={layout === "full" || fills ? { flex: 1 } : { height, maxHeight: "calc(100dvh - 160px)" }}
          >
            <Panes state={state} active={shell} signIn={signIn} />
          </div>
          <KeyRow shell={shell} />
        </>
      ) : null}
      <TransferTray />
      <CopyDialogs />
      <CloseDialog shell={closing} />
      <RoomDialog shell={capped} />
      <PasteDialog pasting={pasting} />
    </section>
  );
}

/** On a phone an open dock takes all that the soft keyboard leaves. */
function place(layout: DockState["layout"], fills: boolean): string {
  if (fills) return "fixed inset-0 z-30";
  if (layout === "full") return "absolute inset-0 z-20";
  return "relative z-20 max-sm:data-open:absolute max-sm:data-open:inset-x-0 max-sm:data-open:top-(--seen-top) max-sm:data-open:bottom-(--keyboard)";
}

function Panes({ state, active, signIn }: { state: DockState; active: Shell; signIn(): void }) {
  const fits = useMedia(SPLIT_FITS);
  const { panes, ratio, shells } = state;
  const sides = fits && panes ? panes : null;
  const shown = sides ? sides.flatMap((id) => shells.find((shell) => shell.id === id) ?? []) : [active];
  return shown.map((shell, at) => (
    <ErrorBoundary key={shell.id} what="this terminal">
      {at > 0 ? <SplitHandle ratio={ratio} /> : null}
      <Pane
        shell={shell}
        active={shell === active}
        split={sides !== null}
        share={sides === null ? 1 : at === 0 ? ratio : 1 - ratio}
        signIn={signIn}
      />
    </ErrorBoundary>
  ));
}
