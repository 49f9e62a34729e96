import { Hourglass, X } from "lucide-react";
import { type DragEvent, type KeyboardEvent, type MouseEvent, useEffect, useRef } from "react";
import { isComposing } from "../../ui/keys.ts";
import { ContextMenu } from "../../ui/Menu.tsx";
import { NewsMark, newsWords, PhaseDot } from "./marks.tsx";
import { NAME_LIMIT } from "./names.ts";
import { afterMenu, ShellMenuItems, tabKit } from "./ShellMenu.tsx";
import type { Shell, ShellState } from "./shell.ts";
import { dock, focusActive, renameShell, requestClose, selectShell, setRenaming } from "./store.ts";
import { TailName } from "./TailName.tsx";
import { tabId } from "./tabs.ts";
import { placeOf } from "./target.ts";

interface TabProps {
  shell: Shell;
  state: ShellState;
  name: string;
  selected: boolean;
  /** It shows, though the keyboard may be for another one. */
  inView: boolean;
  renaming: boolean;
  /** Where what is dragged would come to stand. */
  dropHere: "before" | "after" | null;
  onDragStart(event: DragEvent): void;
  onKeyDown(event: KeyboardEvent): void;
}

export function Tab({ shell, state, name, selected, inView, renaming, dropHere, onDragStart, onKeyDown }: TabProps) {
  const middle = (event: MouseEvent) => {
    if (event.button === 1) requestClose(shell);
  };
  return (
    <ContextMenu
      label={`Menu of ${name}`}
      onCloseAutoFocus={afterMenu}
      trigger={
        <div
          draggable={!renaming}
          onDragStart={onDragStart}
          onAuxClick={middle}
          // The middle button would begin to scroll.
          onMouseDown={(event) => event.button === 1 && event.preventDefault()}
          className={`group relative flex max-w-[min(320px,100%)] shrink-0 items-center border-r border-line pl-3 ${look(selected, inView)} ${
            dropHere === "before" ? "before:left-0" : dropHere === "after" ? "before:right-0" : "before:hidden"
          } before:absolute before:inset-y-1 before:w-0.5 before:rounded before:bg-accent before:content-['']`}
        >
          {renaming ? <NameField shell={shell} name={name} /> : null}
          <TabButton
            shell={shell}
            state={state}
            name={name}
            selected={selected}
            renaming={renaming}
            onKeyDown={onKeyDown}
          />
          <button
            type="button"
            tabIndex={selected ? 0 : -1}
            aria-label={`Close shell in ${shell.target.pod}`}
            onClick={() => requestClose(shell)}
            className="mx-1 flex size-6 shrink-0 items-center justify-center rounded text-muted hover:bg-hover hover:text-text"
          >
            <X aria-hidden className="size-3.5" />
          </button>
        </div>
      }
    >
      <ShellMenuItems shell={shell} kit={tabKit} />
    </ContextMenu>
  );
}

function look(selected: boolean, inView: boolean): string {
  if (selected) return "bg-surface text-text shadow-[inset_0_2px_0_var(--accent)]";
  if (inView) return "bg-surface text-text shadow-[inset_0_2px_0_var(--line-strong)]";
  return "text-muted hover:bg-hover hover:text-text";
}

type TabButtonProps = Pick<TabProps, "shell" | "state" | "name" | "selected" | "renaming" | "onKeyDown">;

/** While its name is typed the tab is out of sight, but its panel is still called by it. */
function TabButton({ shell, state, name, selected, renaming, onKeyDown }: TabButtonProps) {
  const { cluster, namespace, pod } = shell.target;
  const container = placeOf(shell.target);
  const words = newsWords(state);
  const label = name === pod ? `${pod}, ${container}` : `${name}, ${pod}, ${container}`;
  return (
    <button
      type="button"
      role="tab"
      id={tabId(shell)}
      tabIndex={selected ? 0 : -1}
      aria-selected={selected}
      aria-label={[label, state.phase, ...words].join(", ")}
      title={`${cluster} · ${namespace}/${pod} · ${container}`}
      onClick={() => selectShell(shell.id)}
      onDoubleClick={() => setRenaming(shell.id)}
      onKeyDown={onKeyDown}
      className={`h-full min-w-0 items-center gap-2 outline-offset-[-2px] ${renaming ? "hidden" : "flex"}`}
    >
      <PhaseDot phase={state.phase} />
      <TailName
        name={name}
        given={state.name !== ""}
        className={`text-xs ${state.name ? "font-medium" : "font-mono"} ${state.unread ? "font-bold text-text" : ""}`}
      />
      {state.idleUntil === null ? null : <Hourglass aria-hidden className="size-3 shrink-0 text-attention" />}
      <NewsMark state={state} />
    </button>
  );
}

function NameField({ shell, name }: { shell: Shell; name: string }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  const end = (typed: string | null) => {
    // Leaving by a key also takes the focus, which would end it again.
    if (dock.get().renaming !== shell.id) return;
    if (typed === null) setRenaming("");
    else renameShell(shell, typed);
  };
  const leave = (typed: string | null) => {
    end(typed);
    if (dock.get().activeId === shell.id) focusActive();
    else document.getElementById(tabId(shell))?.focus();
  };
  return (
    <input
      ref={input}
      aria-label="Name of this tab"
      defaultValue={shell.state.get().name || name}
      placeholder={shell.target.pod}
      maxLength={NAME_LIMIT}
      onBlur={(event) => end(typedName(event.currentTarget.value, shell, name))}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (isComposing(event.nativeEvent)) return;
        if (event.key === "Enter") leave(typedName(event.currentTarget.value, shell, name));
        else if (event.key === "Escape") leave(null);
      }}
      className="h-6 w-44 rounded border border-accent bg-surface px-1.5 text-xs text-text outline-none"
    />
  );
}

/** A name that was only looked at is none of the owner's. */
function typedName(typed: string, shell: Shell, shown: string): string {
  return typed === shown && shell.state.get().name === "" ? "" : typed;
}
