import { Check, Plus } from "lucide-react";
import { Popover } from "radix-ui";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { clock } from "../../lib/clock.ts";
import { matchScore, wordsOf } from "../../lib/match.ts";
import { formatAge } from "../../lib/time.ts";
import { isComposing, unlessComposing } from "../../ui/keys.ts";
import { useReturnFocus } from "../../ui/useReturnFocus.ts";
import { useStore } from "../../ui/useStore.ts";
import { NewsMark, newsWords, PhaseDot, Pill } from "./marks.tsx";
import { TailName } from "./TailName.tsx";
import { type SeenShell, useShells } from "./useShells.ts";

interface ShellPickerProps {
  trigger: ReactNode;
  open: boolean;
  onOpenChange(open: boolean): void;
  /** What is chosen here: "All shells", "Show beside". */
  label: string;
  /** The shell that is there now; it is marked. */
  current?: string;
  /** Leaves a shell out of the list. */
  without?: string;
  /** A way to one more shell, before all others. */
  fresh?: { name: string; open(): void };
  onChoose(id: string): void;
}

/** All open shells in one list, found by typing. */
export function ShellPicker({ trigger, ...props }: ShellPickerProps) {
  return (
    <Popover.Root open={props.open} onOpenChange={props.onOpenChange}>
      <Popover.Trigger asChild>{trigger}</Popover.Trigger>
      <Popover.Portal>{props.open ? <Content {...props} /> : null}</Popover.Portal>
    </Popover.Root>
  );
}

function Content(props: Omit<ShellPickerProps, "trigger">) {
  const returnFocus = useReturnFocus();
  return (
    <Popover.Content
      onEscapeKeyDown={unlessComposing}
      align="end"
      sideOffset={4}
      collisionPadding={8}
      aria-label={props.label}
      onCloseAutoFocus={returnFocus}
      className="z-50 flex max-h-[min(26rem,var(--radix-popper-available-height))] w-144 max-w-[calc(100vw-16px)] animate-fade flex-col overflow-hidden rounded-lg border border-line bg-raised shadow-(--shadow)"
    >
      <List {...props} />
    </Popover.Content>
  );
}

type Entry = { id: string; seen: SeenShell | null };

/** Everything that a shell is known by. */
function wordsFor({ shell, state, name }: SeenShell): string {
  const { cluster, namespace, pod, container } = shell.target;
  return [name, cluster, `${namespace}/${pod}`, container, state.phase].join(" ").toLowerCase();
}

function entriesFor(shells: SeenShell[], typed: string, fresh: boolean): Entry[] {
  const words = wordsOf(typed);
  const found = shells
    .map((seen) => ({ seen, score: matchScore(wordsFor(seen), words) }))
    .filter(({ score }) => score > 0);
  // As their tabs stand, until something is typed.
  if (words.length > 0) found.sort((a, b) => b.score - a.score);
  const entries: Entry[] = found.map(({ seen }) => ({ id: seen.shell.id, seen }));
  return fresh && words.length === 0 ? [{ id: "fresh", seen: null }, ...entries] : entries;
}

function List({ label, current, without, fresh, onChoose, onOpenChange }: Omit<ShellPickerProps, "trigger">) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const shells = useShells().filter(({ shell }) => shell.id !== without);
  const entries = entriesFor(shells, typed, fresh !== undefined);
  const [at, setAt] = useState(() => firstOf(entries, current));
  const cursor = Math.max(0, Math.min(at, entries.length - 1));
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.children[cursor]?.scrollIntoView({ block: "nearest" });
  }, [cursor]);

  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onOpenChange(false);
    if (entry.seen) onChoose(entry.id);
    else fresh?.open();
  };
  const key = (event: KeyboardEvent) => {
    if (isComposing(event.nativeEvent)) return;
    const to = { ArrowDown: cursor + 1, ArrowUp: cursor - 1, PageDown: cursor + 6, PageUp: cursor - 6 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const single = event.key.startsWith("Arrow");
      setAt(
        single ? (to + entries.length) % Math.max(1, entries.length) : Math.max(0, Math.min(to, entries.length - 1)),
      );
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(entries[cursor]);
    }
  };
  return (
    <>
      <div className="flex h-10 shrink-0 items-center gap-3 border-b border-line pr-3">
        <input
          role="combobox"
          aria-expanded
          aria-controls={id}
          aria-activedescendant={entries.length > 0 ? `${id}-${cursor}` : undefined}
          aria-label={`${label}: type to find`}
          placeholder="Type to find a shell"
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setAt(0);
          }}
          onKeyDown={key}
          className="h-full min-w-0 flex-1 bg-transparent pl-4 text-sm outline-none placeholder:text-muted"
        />
        <span aria-live="polite" className="text-xs text-muted">
          {typed ? `${entries.length} of ${shells.length}` : label}
        </span>
      </div>
      <div id={id} ref={list} role="listbox" aria-label={label} className="min-h-0 overflow-auto p-1">
        {entries.map((entry, index) => (
          <div
            key={entry.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={entry.id === current}
            aria-label={entry.seen ? wordsToRead(entry.seen) : fresh?.name}
            onClick={() => choose(entry)}
            onPointerMove={() => setAt(index)}
            className={`flex min-h-13 cursor-pointer items-center gap-3 rounded-md px-3 py-1.5 ${index === cursor ? "bg-hover" : ""}`}
          >
            {entry.seen ? (
              <Row seen={entry.seen} current={entry.id === current} />
            ) : (
              <>
                <Plus aria-hidden className="size-3.5 shrink-0 text-muted" />
                <span className="truncate text-sm">{fresh?.name}</span>
              </>
            )}
          </div>
        ))}
      </div>
      {entries.length === 0 ? <p className="px-4 py-3 text-sm text-muted">No shell matches.</p> : null}
    </>
  );
}

function firstOf(entries: Entry[], current: string | undefined): number {
  return Math.max(
    0,
    entries.findIndex(({ id }) => id === current),
  );
}

function wordsToRead({ shell, state, name }: SeenShell): string {
  const { cluster, namespace, container } = shell.target;
  return [name, cluster, namespace, container, state.phase, ...newsWords(state)].join(", ");
}

function Row({ seen: { shell, state, name }, current }: { seen: SeenShell; current: boolean }) {
  const { cluster, namespace, pod, container } = shell.target;
  return (
    <>
      <PhaseDot phase={state.phase} />
      <span className="flex min-w-0 flex-1 flex-col gap-0.5">
        <span className="flex min-w-0 items-center gap-2">
          <TailName
            name={name}
            given={state.name !== ""}
            className={`text-xs ${state.name ? "font-medium" : "font-mono"} ${state.unread ? "font-bold" : ""}`}
          />
          <NewsMark state={state} />
          {current ? <Check aria-hidden className="size-3.5 shrink-0 text-accent" /> : null}
          <span className="ml-auto flex max-w-1/2 shrink-0">
            <Pill state={state} />
          </span>
        </span>
        <span className="flex items-center gap-3 text-xs text-muted">
          <span className="flex min-w-0 flex-1">
            <span className="shrink-0">
              {cluster} · {namespace}/
            </span>
            <TailName name={pod} />
            <span className="truncate whitespace-pre"> · {container}</span>
          </span>
          <LastActivity at={shell.lastActivity} />
        </span>
      </span>
    </>
  );
}

function LastActivity({ at }: { at: number }) {
  const now = useStore(clock);
  return (
    <span className="text-xs whitespace-nowrap text-muted">
      active {formatAge(new Date(at).toISOString(), now)} ago
    </span>
  );
}
