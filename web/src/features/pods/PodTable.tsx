import { useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { useCallback, useEffectEvent, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { PodSummary } from "../../api/types.ts";
import { podTone } from "../../lib/podStatus.ts";
import { Age } from "../../ui/Age.tsx";
import { Status } from "../../ui/Status.tsx";
import { PHONE, useMedia } from "../../ui/useMedia.ts";
import { useRowKeys } from "../../ui/useRowKeys.ts";
import { type ColumnId, columns, features, LOOKS } from "./columns.ts";
import { cell, PodLink, Ready, Restarts } from "./PodCells.tsx";
import { keepPlace, placeOf, useVisit } from "./places.ts";
import { ShellButton } from "./ShellButton.tsx";

export interface PodTableProps {
  cluster: string;
  /** Of which the pods are; empty: of all. */
  namespace: string;
  pods: PodSummary[];
  shown: readonly ColumnId[];
  sort: { id: ColumnId; desc: boolean };
  onSort(sort: { id: ColumnId; desc: boolean }): void;
  changed: ReadonlySet<string>;
  /** Shells are offered at all in this cluster. */
  shells: boolean;
  whyNoShell(pod: PodSummary): string;
  onOpenShell(pod: PodSummary): void;
  onOpenPod(pod: PodSummary): void;
}

const ROW_PX = 34;
const CARD_PX = 92;
const HEADER_PX = 32;
/** Room for the row's actions, so that nothing moves when they appear. */
const ACTIONS = "92px";

function uidOf(pod: PodSummary): string {
  return pod.uid;
}

export function PodTable(props: PodTableProps) {
  const { pods, shown, sort } = props;
  const phone = useMedia(PHONE);
  const scroller = useRef<HTMLDivElement>(null);
  const [visit, list] = [useVisit(), `${props.cluster}/${props.namespace}`];
  const [place] = useState(() => placeOf(visit, list));
  // With 30,000 rows all of these must stay the same objects while one scrolls: a new one sorts or measures again.
  const state = useMemo(() => ({ sorting: [{ id: sort.id, desc: sort.desc }] }), [sort.id, sort.desc]);
  const table = useTable({ features, columns, data: pods, getRowId: uidOf, state });
  const rows = table.getRowModel().rows;
  const ids = useMemo(() => rows.map((row) => row.id), [rows]);
  const getItemKey = useCallback((index: number) => ids[index] ?? index, [ids]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (phone ? CARD_PX : ROW_PX),
    getItemKey,
    overscan: 12,
    initialOffset: place?.offset,
    // The header stays above the rows, in the room that they seem to have: it covers none above, and pushes them out below.
    scrollPaddingEnd: phone ? 0 : HEADER_PX,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was measured is of the other kind of row
  useLayoutEffect(() => virtual.measure(), [virtual, phone]);
  const cursor = useRowKeys({
    ids,
    initial: place?.rowId,
    reveal: (index) => virtual.scrollToIndex(index),
    open: (index) => rows[index] && props.onOpenPod(rows[index].original),
    actions: { s: (index) => rows[index] && props.onOpenShell(rows[index].original) },
  });
  const leave = useEffectEvent((offset: number) => keepPlace(visit, list, { offset, rowId: ids[cursor] ?? "" }));
  useLayoutEffect(() => {
    const element = scroller.current;
    return () => leave(element?.scrollTop ?? 0);
  }, []);
  const template = `${shown.map((id) => LOOKS[id].width).join(" ")} ${ACTIONS}`;

  return (
    <div ref={scroller} tabIndex={0} className="min-h-0 flex-1 overflow-auto outline-offset-[-2px]">
      <div role="table" aria-label="Pods" aria-rowcount={rows.length + 1} className="min-w-fit">
        {phone ? null : <Header {...props} template={template} />}
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            const look = {
              index: item.index,
              top: item.start,
              height: item.size,
              current: item.index === cursor,
              changed: props.changed.has(row.id),
            };
            const Row = phone ? Card : Line;
            return <Row key={row.id} table={props} pod={row.original} look={look} template={template} />;
          })}
        </div>
      </div>
    </div>
  );
}

function Header({ shown, sort, onSort, template }: PodTableProps & { template: string }) {
  return (
    <div
      role="row"
      aria-rowindex={1}
      className="sticky top-0 z-10 grid items-center border-b border-line bg-bg px-4 text-xs font-medium text-muted"
      style={{ gridTemplateColumns: template, height: HEADER_PX }}
    >
      {shown.map((id) => (
        <SortHeader key={id} id={id} sort={sort} onSort={onSort} />
      ))}
      <span role="columnheader">
        <span className="sr-only">Actions</span>
      </span>
    </div>
  );
}

function SortHeader({ id, sort, onSort }: { id: ColumnId } & Pick<PodTableProps, "sort" | "onSort">) {
  const active = sort.id === id;
  const Arrow = sort.desc ? ArrowDown : ArrowUp;
  return (
    <span
      role="columnheader"
      aria-sort={active ? (sort.desc ? "descending" : "ascending") : "none"}
      className={`flex pr-4 ${LOOKS[id].right ? "justify-end" : ""}`}
    >
      <button
        type="button"
        onClick={() => onSort({ id, desc: active ? !sort.desc : false })}
        className={`inline-flex items-center gap-1 rounded hover:text-text ${active ? "text-text" : ""}`}
      >
        {LOOKS[id].title}
        {active ? <Arrow aria-hidden className="size-3" /> : null}
      </button>
    </span>
  );
}

interface RowProps {
  table: PodTableProps;
  pod: PodSummary;
  look: { index: number; top: number; height: number; current: boolean; changed: boolean };
  template: string;
}

function rowClass({ current, changed }: RowProps["look"]): string {
  const mark = current ? "bg-hover shadow-[inset_2px_0_0_var(--accent)]" : "hover:bg-hover";
  return `group absolute inset-x-0 border-b border-line px-4 ${mark} ${changed ? "animate-changed" : ""}`;
}

function Line({ table, pod, look, template }: RowProps) {
  return (
    <div
      role="row"
      aria-rowindex={look.index + 2}
      aria-current={look.current ? "true" : undefined}
      onClick={(event) => openUnlessAction(event, () => table.onOpenPod(pod))}
      className={`grid cursor-default items-center ${rowClass(look)}`}
      style={{ top: look.top, height: look.height, gridTemplateColumns: template }}
    >
      {table.shown.map((id) => (
        <span
          key={id}
          role="cell"
          className={`flex min-w-0 items-center gap-1 pr-4 ${LOOKS[id].right ? "justify-end" : ""}`}
        >
          {cell(id, pod, table.cluster)}
        </span>
      ))}
      <span role="cell" className="flex justify-end">
        {table.shells ? (
          <ShellButton
            pod={pod.name}
            whyNot={table.whyNoShell(pod)}
            onOpen={() => table.onOpenShell(pod)}
            className={`focus-visible:opacity-100 pointer-fine:not-group-hover:opacity-0 ${look.current ? "opacity-100!" : ""}`}
          />
        ) : null}
      </span>
    </div>
  );
}

/** A row on a phone. */
function Card({ table, pod, look }: RowProps) {
  return (
    <div
      role="row"
      aria-rowindex={look.index + 2}
      onClick={(event) => openUnlessAction(event, () => table.onOpenPod(pod))}
      className={`flex flex-col justify-center gap-1 ${rowClass(look)}`}
      style={{ top: look.top, height: look.height }}
    >
      <div role="cell" className="flex min-w-0 flex-col gap-1">
        <PodLink cluster={table.cluster} pod={pod} />
        <span className="truncate text-xs text-muted">
          <span className="font-mono">{pod.namespace}</span> · <Age at={pod.createdAt} suffix=" old" />
          {pod.restarts > 0 ? (
            <>
              {" · "}
              <Restarts pod={pod} /> restarts
            </>
          ) : null}
        </span>
        <span className="flex items-center gap-3 text-sm">
          <Status tone={podTone(pod)} word={pod.status} />
          <Ready pod={pod} />
          {table.shells ? (
            <ShellButton
              pod={pod.name}
              whyNot={table.whyNoShell(pod)}
              onOpen={() => table.onOpenShell(pod)}
              className="ml-auto"
            />
          ) : null}
        </span>
      </div>
    </div>
  );
}

/** A click anywhere on the row opens it, unless it meant something in the row or was the end of selecting text. */
function openUnlessAction(event: React.MouseEvent, open: () => void): void {
  if (event.target instanceof Element && event.target.closest("a, button")) return;
  if (window.getSelection()?.toString()) return;
  open();
}
