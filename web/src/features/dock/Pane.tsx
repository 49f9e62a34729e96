import { useEffect, useRef } from "react";
import { useStore } from "../../ui/useStore.ts";
import { ClipboardBar } from "./ClipboardBar.tsx";
import { ComebackBanner } from "./ComebackBanner.tsx";
import { CtrlWHint } from "./CtrlWHint.tsx";
import { DropTarget } from "./DropTarget.tsx";
import { EndedBar } from "./EndedBar.tsx";
import { IdleBanner } from "./IdleBanner.tsx";
import { LinkBanner } from "./LinkBanner.tsx";
import { PasteProgress } from "./PasteProgress.tsx";
import { Preparing } from "./Preparing.tsx";
import { SearchBar } from "./SearchBar.tsx";
import { ShellHeader } from "./ShellHeader.tsx";
import type { Shell } from "./shell.ts";
import { activatePane, dock, wantsKeyboard } from "./store.ts";
import { tabId } from "./tabs.ts";

interface PaneProps {
  shell: Shell;
  /** The keyboard is for this one. */
  active: boolean;
  /** Another one shows beside it. */
  split: boolean;
  /** Its part of the room, of 1. */
  share: number;
  signIn(): void;
}

/** A narrow pane has no room beside a prompt that is still at its top. */
const CLEAR_OF_PROMPT =
  "@max-lg:group-has-data-cursor-high/screen:top-auto @max-lg:group-has-data-cursor-high/screen:bottom-2";

/** One shell in view: its header, its terminal, and what it has to say. */
export function Pane({ shell, active, split, share, signIn }: PaneProps) {
  const { searching } = useStore(dock);
  const activate = () => activatePane(shell.id);
  return (
    <div
      role="tabpanel"
      aria-labelledby={tabId(shell)}
      data-active={active ? "" : undefined}
      onFocusCapture={activate}
      onPointerDownCapture={activate}
      style={{ flex: `${share} 1 0%` }}
      className="@container flex min-h-0 min-w-0 flex-col"
    >
      <ShellHeader shell={shell} active={active} split={split} />
      <Preparing shell={shell} />
      <DropTarget shell={shell} className="group/screen relative min-h-0 flex-1 bg-terminal">
        <Surface shell={shell} />
        <div
          className={`pointer-events-none absolute inset-x-4 z-10 flex flex-col items-end gap-2 *:pointer-events-auto ${searching && active ? "top-12" : "top-2"} ${CLEAR_OF_PROMPT}`}
        >
          <PasteProgress shell={shell} />
          <ClipboardBar shell={shell} />
          <CtrlWHint active={active} />
          <IdleBanner shell={shell} />
          <LinkBanner shell={shell} />
          <ComebackBanner shell={shell} />
        </div>
        {searching && active ? <SearchBar shell={shell} /> : null}
      </DropTarget>
      <EndedBar shell={shell} signIn={signIn} />
    </div>
  );
}

/** Where the shell's own terminal element is put while it is in view. */
function Surface({ shell }: { shell: Shell }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const place = ref.current;
    if (!place) return;
    // Until the terminal is there: what is typed meanwhile is lost, and not taken for the page's keys.
    if (wantsKeyboard(shell)) place.focus();
    return shell.mount(place, () => wantsKeyboard(shell));
  }, [shell]);
  return <div ref={ref} tabIndex={-1} className="absolute inset-y-1 right-0 left-2 outline-offset-[-2px]" />;
}
