import { Link } from "@tanstack/react-router";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type MouseEvent, type ReactNode, useMemo, useRef } from "react";
import type { ExecSession } from "../../api/types.ts";
import { formatBytes } from "../../lib/bytes.ts";
import { visible } from "../../lib/invisible.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { Status } from "../../ui/Status.tsx";
import { PHONE, useMedia } from "../../ui/useMedia.ts";
import { useRowKeys } from "../../ui/useRowKeys.ts";
import { COLUMN_IDS, type ColumnId, LOOKS, nameOf, type Sort } from "./columns.ts";

interface SessionTableProps {
  sessions: readonly ExecSession[];
  /** Others' shells are among them: whose is told. */
  everybodys: boolean;
  /** Where there is not the whole page for them. */
  columns?: readonly ColumnId[];
  sort: Sort;
  onSort(sort: Sort): void;
  isHere(sessionId: string): boolean;
  onEnd(session: ExecSession): void;
  onOpenPod(session: ExecSession): void;
  /** Takes one's own shell over into this window. */
  onOpenHere(session: ExecSession): void;
}

const ACTIONS = "156px";

/** At most a thousand rows, as many as the server tells at once. */
export function SessionTable(props: SessionTableProps) {
  const { sessions, everybodys } = props;
  const phone = useMedia(PHONE);
  const body = useRef<HTMLDivElement>(null);
  const ids = useMemo(() => sessions.map((session) => session.sessionId), [sessions]);
  const cursor = useRowKeys({
    ids,
    reveal: (index) => body.current?.children[index]?.scrollIntoView({ block: "nearest" }),
    open: (index) => sessions[index] && props.onOpenPod(sessions[index]),
    actions: {
      x: (index) => sessions[index] && props.onEnd(sessions[index]),
      o: (index) => sessions[index] && canOpenHere(sessions[index], props) && props.onOpenHere(sessions[index]),
    },
  });
  const columns = (props.columns ?? COLUMN_IDS).filter((id) => id !== "who" || everybodys);
  const template = `${columns.map((id) => LOOKS[id].width).join(" ")} ${ACTIONS}`;
  const Row = phone ? Card : Line;

  return (
    <div tabIndex={0} className="min-h-0 flex-1 overflow-auto outline-offset-[-2px]">
      <div role="table" aria-label="Sessions" className={phone ? "" : "min-w-fit"}>
        {phone ? null : <Header {...props} columns={columns} template={template} />}
        <div role="rowgroup" ref={body}>
          {sessions.map((session, index) => (
            <Row
              key={session.sessionId}
              table={props}
              session={session}
              current={index === cursor}
              columns={columns}
              template={template}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

type HeaderProps = Pick<SessionTableProps, "sort" | "onSort"> & { columns: readonly ColumnId[]; template: string };

function Header({ sort, onSort, columns, template }: HeaderProps) {
  return (
    <div
      role="row"
      className="sticky top-0 z-10 grid h-8 items-center border-b border-line bg-bg px-4 text-xs font-medium text-muted"
      style={{ gridTemplateColumns: template }}
    >
      {columns.map((id) => (
        <SortHeader key={id} id={id} sort={sort} onSort={onSort} />
      ))}
      <span role="columnheader">
        <span className="sr-only">Actions</span>
      </span>
    </div>
  );
}

function SortHeader({ id, sort, onSort }: { id: ColumnId } & Pick<SessionTableProps, "sort" | "onSort">) {
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
  table: SessionTableProps;
  session: ExecSession;
  current: boolean;
  columns: readonly ColumnId[];
  template: string;
}

function rowClass(current: boolean): string {
  const mark = current ? "bg-hover shadow-[inset_2px_0_0_var(--accent)]" : "hover:bg-hover";
  return `scroll-mt-8 border-b border-line px-4 ${mark}`;
}

function Line({ table, session, current, columns, template }: RowProps) {
  return (
    <div
      role="row"
      aria-current={current ? "true" : undefined}
      onClick={(event) => openUnlessAction(event, () => table.onOpenPod(session))}
      className={`grid h-13 cursor-default items-center ${rowClass(current)}`}
      style={{ gridTemplateColumns: template }}
    >
      {columns.map((id) => (
        <span
          key={id}
          role="cell"
          className={`flex min-w-0 flex-col pr-4 ${LOOKS[id].right ? "items-end" : "items-start"}`}
        >
          {CELLS[id](session, table.isHere(session.sessionId))}
        </span>
      ))}
      <span role="cell" className="flex justify-end gap-2">
        <OpenHereButton table={table} session={session} />
        <EndButton session={session} onEnd={table.onEnd} />
      </span>
    </div>
  );
}

const Figure = ({ children }: { children: ReactNode }) => (
  <span className="font-mono text-xs whitespace-nowrap text-muted">{children}</span>
);

const VIA: Record<ExecSession["transport"], string> = { "": "opening", ws: "WebSocket", spdy: "SPDY" };

const CELLS: Record<ColumnId, (session: ExecSession, here: boolean) => ReactNode> = {
  pod: (session) => (
    <>
      <PodLink session={session} />
      <Place session={session} />
    </>
  ),
  who: (session) => <Who session={session} />,
  reason: ({ reason }) =>
    reason ? (
      <span title={reason} className="line-clamp-2 text-xs wrap-anywhere">
        {reason}
      </span>
    ) : (
      <Figure>–</Figure>
    ),
  started: (session) => (
    <Figure>
      <Age at={session.startedAt} />
    </Figure>
  ),
  idle: (session) => (
    <Figure>
      <Age at={session.lastActivityAt} />
    </Figure>
  ),
  in: (session) => <Figure>{formatBytes(session.bytesIn)}</Figure>,
  out: (session) => <Figure>{formatBytes(session.bytesOut)}</Figure>,
  via: (session) => (
    <>
      <span className="text-xs">{VIA[session.transport]}</span>
      {session.tty ? null : <NoTerminal file={session.file} />}
    </>
  ),
  state: (session, here) => <State session={session} here={here} />,
};

function NoTerminal({ file }: { file: string }) {
  return (
    <span title={file} className="max-w-full truncate text-xs text-muted">
      {file ? `copies ${visible(file)}` : "no terminal"}
    </span>
  );
}

function PodLink({ session: { cluster, namespace, pod } }: { session: ExecSession }) {
  return (
    <Link
      to="/clusters/$cluster/pods/$namespace/$pod"
      params={{ cluster, namespace, pod }}
      title={pod}
      className="max-w-full truncate font-mono text-xs hover:text-accent hover:underline"
    >
      {pod}
    </Link>
  );
}

function Place({ session: { cluster, namespace, container } }: { session: ExecSession }) {
  const place = `${cluster} · ${namespace} · ${container}`;
  return (
    <span title={place} className="max-w-full truncate font-mono text-xs text-muted">
      {place}
    </span>
  );
}

function Who({ session }: { session: ExecSession }) {
  return (
    <span title={session.subject} className="max-w-full truncate text-xs">
      {nameOf(session)}
      {session.own ? <span className="text-muted"> (you)</span> : null}
    </span>
  );
}

function State({ session, here }: { session: ExecSession; here: boolean }) {
  const attached = session.state === "attached";
  return (
    <>
      <span className="text-sm">
        <Status tone={attached ? "ok" : "attention"} word={attached ? "Attached" : "Detached"} />
      </span>
      {here ? <span className="text-xs text-muted">in this window</span> : null}
    </>
  );
}

/** One's own, in a terminal: without one there is nothing that a terminal could show. */
function canOpenHere(session: ExecSession, { isHere }: Pick<SessionTableProps, "isHere">): boolean {
  return session.own && session.tty && session.transport !== "" && !isHere(session.sessionId);
}

function OpenHereButton({ table, session }: { table: SessionTableProps; session: ExecSession }) {
  if (!canOpenHere(session, table)) return null;
  return (
    <Button size="sm" aria-label={`Open the shell in ${session.pod} here`} onClick={() => table.onOpenHere(session)}>
      Open here
    </Button>
  );
}

function EndButton({ session, onEnd }: { session: ExecSession; onEnd(session: ExecSession): void }) {
  return (
    <Button
      size="sm"
      aria-label={`End the shell in ${session.pod}${session.own ? "" : ` of ${nameOf(session)}`}`}
      onClick={() => onEnd(session)}
    >
      End
    </Button>
  );
}

/** A row on a phone. */
function Card({ table, session, current }: RowProps) {
  return (
    <div
      role="row"
      onClick={(event) => openUnlessAction(event, () => table.onOpenPod(session))}
      className={`py-2.5 ${rowClass(current)}`}
    >
      <div role="cell" className="flex flex-col gap-1">
        <PodLink session={session} />
        <Place session={session} />
        {table.everybodys ? <Who session={session} /> : null}
        {session.reason ? <span className="text-xs wrap-anywhere">“{session.reason}”</span> : null}
        <span className="flex items-end justify-between gap-3">
          <span className="flex min-w-0 flex-col gap-0.5">
            <State session={session} here={table.isHere(session.sessionId)} />
            <span className="text-xs text-muted">
              open <Age at={session.startedAt} /> · idle <Age at={session.lastActivityAt} /> ·{" "}
              {formatBytes(session.bytesOut)} printed
            </span>
          </span>
          <span className="flex gap-2">
            <OpenHereButton table={table} session={session} />
            <EndButton session={session} onEnd={table.onEnd} />
          </span>
        </span>
      </div>
    </div>
  );
}

/** A click anywhere on the row opens its pod, unless it meant something in the row or was the end of selecting text. */
function openUnlessAction(event: MouseEvent, open: () => void): void {
  if (event.target instanceof Element && event.target.closest("a, button")) return;
  if (window.getSelection()?.toString()) return;
  open();
}
