import {
  ArrowDownToLine,
  ArrowUpDown,
  ArrowUpFromLine,
  ChevronDown,
  ChevronUp,
  CircleCheck,
  CircleX,
  FolderDown,
  RotateCw,
  X,
} from "lucide-react";
import { type ReactNode, useCallback, useMemo, useState, useSyncExternalStore } from "react";
import { formatBytes } from "../../lib/bytes.ts";
import { Button, IconButton } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { useStore } from "../../ui/useStore.ts";
import { oneLine } from "./CopyDialogs.tsx";
import { focusActive } from "./store.ts";
import { dismiss, dismissAll, type Transfer, type TransferState, transfers } from "./transfers.ts";

interface Seen {
  transfer: Transfer;
  state: TransferState;
}

/** The files that are on their way, and what became of those before. */
export function TransferTray() {
  const seen = useTransfers();
  const [open, setOpen] = useState(true);
  if (seen.length === 0) return null;
  const over = seen.filter(({ transfer }) => transfer.over).length;
  const words = summary(seen);
  return (
    <section aria-label="Transfers" className="@container shrink-0 border-t border-line bg-surface">
      <div className="flex h-9 items-center gap-1 bg-bg pr-1 max-sm:h-11">
        <button
          type="button"
          id={TOGGLE_ID}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          className="flex h-full min-w-0 flex-1 items-center gap-2 pl-3 text-left text-xs outline-offset-[-2px] hover:bg-hover"
        >
          <ArrowUpDown aria-hidden className="size-4 shrink-0 text-muted" />
          <span className="shrink-0 font-medium">Transfers</span>
          <span role="status" title={words} className="truncate text-muted">
            {words}
          </span>
          {open ? (
            <ChevronDown aria-hidden className="ml-auto size-3.5 shrink-0 text-muted" />
          ) : (
            <ChevronUp aria-hidden className="ml-auto size-3.5 shrink-0 text-muted" />
          )}
        </button>
        {over > 0 ? (
          <Button size="sm" look="quiet" onClick={() => keepFocus(dismissAll)}>
            <span>
              Clear<span className="@max-md:sr-only"> finished</span>
            </span>
          </Button>
        ) : null}
      </div>
      {open ? (
        <ul className="relative max-h-44 divide-y divide-line overflow-auto overscroll-contain border-t border-line max-sm:max-h-36">
          {inOrder(seen).map(({ transfer, state }) => (
            <Row key={transfer.id} transfer={transfer} state={state} />
          ))}
        </ul>
      ) : null}
    </section>
  );
}

const TOGGLE_ID = "transfers-toggle";

/** Does what takes the button away that was pressed: the keyboard then goes on at the tray, or in the shell where that is gone too. */
function keepFocus(act: () => void): void {
  document.getElementById(TOGGLE_ID)?.focus();
  act();
  if (transfers.get().length === 0) focusActive();
}

/** What failed first, since it waits for somebody; then what is under way, as it was asked for; then what is over, the newest first. */
function inOrder(seen: readonly Seen[]): Seen[] {
  const failed = seen.filter(({ state }) => state.phase === "failed").reverse();
  const going = seen.filter(({ transfer }) => !transfer.over);
  const over = seen.filter(({ transfer, state }) => transfer.over && state.phase !== "failed").reverse();
  return [...failed, ...going, ...over];
}

function summary(seen: readonly Seen[]): string {
  const count = (...phases: TransferState["phase"][]) =>
    seen.filter(({ state }) => phases.includes(state.phase)).length;
  const parts: [number, string][] = [
    [count("failed"), "failed"],
    [count("opening", "running", "reconnecting"), "under way"],
    [count("queued"), "waiting"],
    [count("done"), "done"],
    [count("cancelled"), "cancelled"],
  ];
  return parts
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${n} ${word}`)
    .join(" · ");
}

function Row({ transfer, state }: Seen) {
  const { way, place, path } = transfer.wish;
  const name = oneLine(state.name);
  const up = way === "up";
  return (
    <li data-testid="transfer" data-phase={state.phase} className="px-3 py-1.5 text-xs">
      <div className="flex min-h-7 items-center gap-2">
        <Mark phase={state.phase} up={up} />
        <span className="flex min-w-0 flex-1 items-baseline gap-2 @max-xl:flex-col @max-xl:items-stretch @max-xl:gap-0">
          <span className="min-w-16 truncate font-mono font-semibold" title={name}>
            {name}
          </span>
          <span className="truncate font-mono text-muted" title={oneLine(`${place.container}:${path}`)}>
            <span className="sr-only">{up ? "upload" : "download"} </span>
            {up ? "to" : "from"} {place.pod}:{oneLine(path)}
          </span>
        </span>
        <span className="shrink-0 text-right text-muted tabular-nums">
          <span className="block @min-xl:inline">{figures(state)}</span>
          {state.rate === null || state.phase !== "running" ? null : (
            <span className="block @min-xl:ml-2 @min-xl:inline">{formatBytes(state.rate)}/s</span>
          )}
        </span>
        <Acts transfer={transfer} state={state} name={name} />
      </div>
      <Below state={state} name={name} />
    </li>
  );
}

function Mark({ phase, up }: { phase: TransferState["phase"]; up: boolean }) {
  if (phase === "done") return <CircleCheck aria-hidden className="size-4 shrink-0 text-ok" />;
  if (phase === "failed") return <CircleX aria-hidden className="size-4 shrink-0 text-broken" />;
  const Arrow = up ? ArrowUpFromLine : ArrowDownToLine;
  return <Arrow aria-hidden className="size-4 shrink-0 text-muted" />;
}

function figures({ phase, bytes, size, tries, asksWhere }: TransferState): string {
  if (phase === "queued") return `waiting${size === null ? "" : ` · ${formatBytes(size)}`}`;
  if (phase === "opening") return "opening";
  if (phase === "cancelled") return "cancelled";
  if (phase === "done") return `done · ${formatBytes(bytes)}`;
  if (phase === "failed") return "failed";
  if (phase === "reconnecting") return `reconnecting (${tries})`;
  if (asksWhere) return size === null ? "a folder" : formatBytes(size);
  return size === null ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`;
}

function Acts({ transfer, state, name }: Seen & { name: string }) {
  const { phase, asksWhere } = state;
  return (
    <span className="flex shrink-0 items-center gap-1">
      {asksWhere && phase === "running" ? (
        <Button size="sm" look="primary" aria-label={`Save ${name} as`} onClick={() => transfer.chooseWhere()}>
          <FolderDown aria-hidden className="size-3.5" />
          Save as…
        </Button>
      ) : null}
      {phase === "reconnecting" ? (
        <Act label={`Reconnect ${name} now`} icon={<RotateCw />} act={() => transfer.reconnect()} />
      ) : null}
      {phase === "failed" || phase === "cancelled" ? (
        <Button size="sm" aria-label={`Retry ${name}`} onClick={() => keepFocus(() => transfer.again())}>
          Retry
        </Button>
      ) : null}
      {transfer.over ? (
        <Act label={`Dismiss ${name}`} icon={<X />} act={() => keepFocus(() => dismiss(transfer))} />
      ) : (
        <Act label={`Cancel ${name}`} icon={<X />} act={() => transfer.cancel()} />
      )}
    </span>
  );
}

function Act({ label, icon, act }: { label: string; icon: ReactNode; act(): void }) {
  return (
    <IconButton
      label={label}
      icon={<span className="contents [&>svg]:size-3.5">{icon}</span>}
      onClick={act}
      className="max-sm:size-9"
    />
  );
}

/** How far it is; why it failed; the sum of what was copied. */
function Below({ state, name }: { state: TransferState; name: string }) {
  const { phase, bytes, size, trouble, carried } = state;
  if (phase === "failed" && trouble) {
    return (
      <p role="alert" className="pb-1 pl-6 wrap-anywhere text-broken">
        {trouble.why}
        {trouble.requestId ? (
          <span className="ml-2 inline-flex items-center gap-1 text-muted">
            Request id <code className="font-mono">{trouble.requestId}</code>
            <CopyButton text={trouble.requestId} what="request id" />
          </span>
        ) : null}
      </p>
    );
  }
  if (phase === "done" && carried) {
    return (
      <p className="flex items-center gap-1 pb-1 pl-6 text-muted">
        <span className="shrink-0">sha256</span>
        <code className="truncate font-mono">{carried.sha256}</code>
        <CopyButton text={carried.sha256} what="sum" />
        {carried.verified ? <span className="shrink-0 @max-xl:hidden">· the same in the container</span> : null}
      </p>
    );
  }
  return phase === "running" || phase === "reconnecting" ? <Bar name={name} bytes={bytes} size={size} /> : null;
}

function Bar({ name, bytes, size }: { name: string; bytes: number; size: number | null }) {
  // A file that grows while it is read brings more than was said.
  const percent = size === null ? null : size === 0 ? 100 : Math.min(100, Math.floor((bytes / size) * 100));
  if (percent === null) return null;
  return (
    <div
      role="progressbar"
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      className="mb-1 ml-6 h-1 overflow-hidden rounded-full bg-sunken"
    >
      <div className="h-full rounded-full bg-accent-solid" style={{ width: `${percent}%` }} />
    </div>
  );
}

/** All transfers with their states; anew whenever one of them changes. */
function useTransfers(): readonly Seen[] {
  const all = useStore(transfers);
  const watch = useCallback(
    (listener: () => void) => {
      const stops = all.map(({ state }) => state.watch(listener));
      return () => {
        for (const stop of stops) stop();
      };
    },
    [all],
  );
  return useSyncExternalStore(
    watch,
    useMemo(() => seenOf(all), [all]),
  );
}

/** The same array as long as every state in it is the same. */
function seenOf(all: readonly Transfer[]): () => readonly Seen[] {
  let last: readonly Seen[] = [];
  return () => {
    const same = last.length === all.length && last.every(({ transfer, state }) => transfer.state.get() === state);
    if (!same) last = all.map((transfer) => ({ transfer, state: transfer.state.get() }));
    return last;
  };
}
