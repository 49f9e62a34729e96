import { type QueryClient, type UseQueryResult, useQueries, useQueryClient } from "@tanstack/react-query";
import { Dialog } from "radix-ui";
import { type KeyboardEvent, useDeferredValue, useId, useMemo, useState } from "react";
import { explain } from "../../api/explain.ts";
import { clustersQuery, podsQuery } from "../../api/queries.ts";
import type { Cluster, PodSummary } from "../../api/types.ts";
import { reachOf } from "../../lib/link.ts";
import { commandKeyName, hasCommandKey } from "../../lib/platform.ts";
import { Kbd } from "../../ui/Kbd.tsx";
import { isComposing, unlessComposing } from "../../ui/keys.ts";
import { failureOf, useAsked } from "../../ui/useAsked.ts";
import { useReturnFocus } from "../../ui/useReturnFocus.ts";
import {
  type Command,
  clusterEntries,
  commandEntries,
  type Entry,
  findEntries,
  type ListState,
  loadingOf,
  notesOf,
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
          onEscapeKeyDown={unlessComposing}
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

interface Listed {
  entries: Entry[];
  /** What may yet come; empty: nothing. */
  loading: string;
  /** What is not among them. */
  notes: string[];
}

function useEntries({ cluster, commands, actions }: Omit<PaletteProps, "onClose">): Listed {
  const queries = useQueryClient();
  const { query, waiting, failure: none } = useAsked(clustersQuery());
  const clusters = query.data;
  const here = useMemo(
    () => (clusters ?? []).filter(({ name }) => cluster === "" || name === cluster),
    [clusters, cluster],
  );
  const asked = useMemo(() => here.flatMap((c) => asksOf(queries, c)), [queries, here]);
  const { data, results } = useQueries({
    queries: asked.map(({ cluster: c, namespace, now }) => ({
      ...podsQuery(c.name, namespace),
      staleTime: 30_000,
      refetchInterval: false as const,
      enabled: now,
    })),
    combine: answersOf,
  });
  const pods = useMemo(() => here.map((c) => ({ cluster: c, pods: podsOf(c, asked, data) })), [here, asked, data]);
  const entries = useMemo(
    () => [...podEntries(pods, actions), ...clusterEntries(clusters ?? [], actions), ...commandEntries(commands)],
    [clusters, pods, commands, actions],
  );
  const lists = pods.map(({ cluster: c, pods: { length } }): ListState => {
    const at = asked.findIndex((ask) => ask.cluster === c);
    const [list, result] = [{ cluster: c.name, some: length > 0, failure: "", loading: false }, results[at]];
    if (data[at]) return list;
    if (!result || !asked[at]?.now) return { ...list, failure: reachOf(c).word.toLowerCase() };
    const failure = failureOf(queries, podsQuery(c.name, "").queryKey, result);
    return failure ? { ...list, failure: explain(failure).title } : { ...list, loading: true };
  });
  if (none) return { entries, loading: "", notes: [`Clusters are not listed: ${explain(none).title}`] };
  if (waiting) return { entries, loading: "Still loading the clusters", notes: [] };
  return { entries, loading: loadingOf(lists), notes: notesOf(lists) };
}

interface Ask {
  cluster: Cluster;
  /** Empty: all of them. */
  namespace: string;
  /** Whether it is asked, or only taken as it was shown before. */
  now: boolean;
}

/** All pods of a cluster, and behind them what was shown of single namespaces: many people may list no more. */
function asksOf(queries: QueryClient, cluster: Cluster): Ask[] {
  if (!cluster.connected) return [];
  // What was found before stays; a new question would only wait for the link.
  const now = cluster.link?.state !== "reconnecting";
  const shown = queries.getQueryCache().findAll({ queryKey: ["pods", cluster.name] });
  const namespaces = shown.map(({ queryKey }) => String(queryKey[2])).filter((name) => name !== "");
  return [{ cluster, namespace: "", now }, ...namespaces.map((namespace) => ({ cluster, namespace, now: false }))];
}

function podsOf(cluster: Cluster, asked: readonly Ask[], data: readonly (PodSummary[] | undefined)[]): PodSummary[] {
  const [all, ...single] = data.filter((_, at) => asked[at]?.cluster === cluster);
  return all ?? single.flatMap((pods) => pods ?? []);
}

/** Outside of the component, so that the joined answers stay the same objects until an answer changes. */
function answersOf(results: UseQueryResult<PodSummary[]>[]) {
  return {
    data: results.map((result) => result.data),
    results: results.map(({ isPending, isLoadingError, error }) => ({ isPending, isLoadingError, error })),
  };
}

function PaletteBody({ onClose, ...rest }: PaletteProps) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const { entries, loading, notes } = useEntries(rest);
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
    if (isComposing(event.nativeEvent)) return;
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
          <p className="px-3 py-6 text-center text-sm text-muted">
            Nothing matches “{typed}”{loading ? " so far" : ""}.
          </p>
        ) : null}
      </div>
      <div
        className={`shrink-0 border-t border-line px-4 py-2 text-xs text-muted ${loading || notes.length > 0 ? "" : "hidden"}`}
      >
        {/* Read out with each answer that comes, it would count the clusters down. */}
        {loading ? <p className="wrap-anywhere">{loading}</p> : null}
        <div role="status">
          {notes.map((note) => (
            <p key={note} className="wrap-anywhere">
              {note}
            </p>
          ))}
        </div>
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
