import type { PodRef } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { podEventsQuery } from "../../api/queries.ts";
import type { KubernetesEvent } from "../../api/types.ts";
import { Age } from "../../ui/Age.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Status } from "../../ui/Status.tsx";
import { Empty, Fault, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";

interface EventsProps {
  target: PodRef;
  who: string;
  /** The pod has several containers, so that each event says which it is about. */
  many: boolean;
}

export function Events({ target, who, many }: EventsProps) {
  const { query, failure } = useAsked(podEventsQuery(target));
  if (failure) return <Fault fault={explain(failure)} who={who} retry={() => query.refetch()} />;
  if (!query.data) return <Skeleton rows={4} label="Loading events" />;
  const events = newestFirst(query.data);
  return (
    <>
      <Stale
        what="The events"
        at={query.dataUpdatedAt}
        fault={query.isRefetchError ? explain(query.error) : null}
        retry={() => void query.refetch()}
      />
      {events.length === 0 ? (
        <Empty title="No events">
          <p>Clusters keep events for about an hour; nothing has happened to this pod since.</p>
        </Empty>
      ) : (
        <ul
          aria-label="Events"
          className="divide-y divide-line overflow-hidden rounded-lg border border-line bg-surface"
        >
          {events.map((event) => (
            <EventRow key={event.uid} event={event} container={many ? event.container : ""} />
          ))}
        </ul>
      )}
    </>
  );
}

function newestFirst(events: KubernetesEvent[]): KubernetesEvent[] {
  return [...events].sort((a, b) => (b.lastSeen ?? "").localeCompare(a.lastSeen ?? ""));
}

function EventRow({ event, container }: { event: KubernetesEvent; container: string }) {
  const warning = event.type === "Warning";
  return (
    <li className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5 px-4 py-2 text-sm">
      <span className="w-40 min-w-0">
        <Status tone={warning ? "attention" : "neutral"} word={event.reason} />
      </span>
      <span className="min-w-0 flex-1 basis-60 wrap-anywhere">{event.message}</span>
      <span className="text-xs text-muted">
        {container ? (
          <>
            <span className="font-mono wrap-anywhere">{container}</span>
            {" · "}
          </>
        ) : null}
        {event.count > 1 ? `${event.count} times · ` : ""}
        {event.source ? `${event.source} · ` : ""}
        <Age at={event.lastSeen} suffix=" ago" />
      </span>
    </li>
  );
}
