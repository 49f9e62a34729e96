import { useQueries, useQuery } from "@tanstack/react-query";
import { Dialog } from "radix-ui";
import { type KeyboardEvent, useDeferredValue, useId, useMemo, useState } from "react";
import { clustersQuery, podsQuery } from "../../api/queries.ts";
import type { PodSummary } from "../../api/types.ts";
import { commandKeyName, hasCommandKey } from "../../lib/platform.ts";
import { Kbd } from "../../ui/Kbd.tsx";
import { useReturnFocus } from "../../ui/useReturnFocus.ts";
import {
  type Command,
  clusterEntries,
  commandEntries,
  type Entry,
  findEntries,
  type PaletteActions,
  podEntries,
} from "./entries.ts";

/** Open as long as it is rendered. */
interface PaletteProps {
  onClose(): void;
  /** Where one is: its pods come first, and alone while one is in a cluster. */
  cluster: string;
  commands: readonly Command[];
  actions: PaletteActions;
}

export function Palette({ onClose, ...rest }: PaletteProps) {
  const returnFocus = useReturnFocus();
  return (
    <Dialog.Root open onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 animate-fade bg-scrim" />
        <Dialog.Content
          aria-describedby={undefined}
          onCloseAutoFocus={returnFocus}
          className="fixed top-[12dvh] left-1/2 z-40 flex max-h-[70dvh] w-[calc(100vw-24px)] max-w-2xl -translate-x-1/2 animate-fade flex-col overflow-hidden rounded-lg border border-line-strong bg-raised shadow-(--shadow)"
        >
          <Dialog.Title className="sr-only">Command palette</Dialog.Title>
          <PaletteBody {...rest} onClose={onClose} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function useEntries({ cluster, commands, actions }: Omit<PaletteProps, "onClose">): Entry[] {
  const clusters = useQuery(clustersQuery()).data;
  const asked = useMemo(
    () => (clusters ?? []).filter((c) => c.connected && (cluster === "" || c.name === cluster)),
    [clusters, cluster],
  );
  const lists = useQueries({
    queries: asked.map((c) => ({
      ...podsQuery(c.name, ""),
      staleTime: 30_000,
      refetchInterval: false as const,
      // What was found before stays; a new question would only wait for the link.
      enabled: c.link?.state !== "reconnecting",
    })),
    combine: dataOf,
  });
  return useMemo(() => {
    const pods = asked.map((c, i) => ({ cluster: c, pods: lists[i] ?? [] }));
    return [...podEntries(pods, actions), ...clusterEntries(clusters ?? [], actions), ...commandEntries(commands)];
  }, [clusters, asked, lists, commands, actions]);
}

/** Outside of the component, so that the joined answer stays the same object until an answer changes. */
function dataOf(results: { data: PodSummary[] | undefined }[]) {
  return results.map((result) => result.data);
}

function PaletteBody({ onClose, ...rest }: PaletteProps) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const entries = useEntries(rest);
  const query = useDeferredValue(typed);
  const found = useMemo(() => findEntries(entries, query), [entries, query]);
  const cursor = Math.min(at, found.length - 1);

  const run = (entry: Entry | undefined, alternate: boolean) => {
    if (!entry) return;
    onClose();
    if (alternate && entry.alternate) entry.alternate();
    else entry.run();
  };
  const key = (event: KeyboardEvent) => {
    const step = ({ ArrowDown: 1, ArrowUp: -1 } as Record<string, number>)[event.key];
    if (event.key === "Enter") run(found[cursor], hasCommandKey(event));
    else if (step) {
      const next = (cursor + step + found.length) % Math.max(1, found.length);
      setAt(next);
      document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: "nearest" });
    } else return;
    event.preventDefault();
  };

  return (
    <>
      <input
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found.length > 0 ? `${id}-${cursor}` : undefined}
        aria-label="Go to a pod, a cluster, or a command"
        placeholder="Go to a pod, a cluster, or a command"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={key}
        className="h-12 shrink-0 border-b border-line bg-transparent px-4 text-base outline-none placeholder:text-muted"
      />
      <div id={id} role="listbox" aria-label="Results" className="min-h-0 flex-1 overflow-auto p-1.5">
        {found.map((entry, index) => (
          <Option
            key={entry.id}
            id={`${id}-${index}`}
            entry={entry}
            heading={entry.group !== found[index - 1]?.group}
            active={index === cursor}
            onPoint={() => setAt(index)}
            onRun={(alternate) => run(entry, alternate)}
          />
        ))}
        {found.length === 0 ? (
          <p className="px-3 py-6 text-center text-sm text-muted">Nothing matches “{typed}”.</p>
        ) : null}
      </div>
      <p className="flex shrink-0 items-center gap-3 border-t border-line px-4 py-2 text-xs text-muted max-sm:hidden">
        <span className="flex items-center gap-1">
          <Kbd keys="Enter" /> go
        </span>
        {found[cursor]?.alternate ? (
          <span className="flex items-center gap-1">
            <Kbd keys={`${commandKeyName} Enter`} /> open a shell there
          </span>
        ) : null}
        <span className="flex items-center gap-1">
          <Kbd keys="Esc" /> close
        </span>
      </p>
    </>
  );
}

interface OptionProps {
  id: string;
  entry: Entry;
  heading: boolean;
  active: boolean;
  onPoint(): void;
  onRun(alternate: boolean): void;
}

function Option({ id, entry, heading, active, onPoint, onRun }: OptionProps) {
  return (
    <>
      {heading ? (
        <p aria-hidden className="px-2.5 pt-2 pb-1 text-xs font-medium text-muted">
          {entry.group}
        </p>
      ) : null}
      <div
        id={id}
        role="option"
        aria-selected={active}
        onPointerMove={onPoint}
        onClick={(event) => onRun(hasCommandKey(event))}
        className={`flex h-9 cursor-default items-center gap-3 rounded-md px-2.5 ${active ? "bg-accent-soft" : ""}`}
      >
        <span className={`truncate ${entry.mono ? "font-mono text-xs" : "text-sm"}`}>{entry.name}</span>
        <span className="ml-auto shrink-0 font-mono text-xs text-muted">{entry.detail}</span>
      </div>
    </>
  );
}
