import type { PodCondition } from "../../api/types.ts";
import { Age } from "../../ui/Age.tsx";
import { Status } from "../../ui/Status.tsx";
import { Empty } from "../../ui/states.tsx";

export function Conditions({ conditions }: { conditions: PodCondition[] }) {
  if (conditions.length === 0) {
    return (
      <Empty title="No conditions">
        <p>The cluster has not said anything about this pod yet.</p>
      </Empty>
    );
  }
  return (
    <ul
      aria-label="Conditions"
      className="divide-y divide-line overflow-hidden rounded-lg border border-line bg-surface"
    >
      {conditions.map((condition) => (
        <li key={condition.type} className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5 px-4 py-2 text-sm">
          <span className="w-56 font-mono text-xs">{condition.type}</span>
          <span className="w-24">
            <Status tone={toneOf(condition)} word={condition.status} />
          </span>
          <span className="min-w-0 flex-1 basis-60 wrap-anywhere">
            {condition.reason ? <span className="font-medium">{condition.reason} </span> : null}
            <span className="text-muted">{condition.message}</span>
          </span>
          <span className="text-xs text-muted">
            <Age at={condition.lastTransitionAt} suffix=" ago" />
          </span>
        </li>
      ))}
    </ul>
  );
}

/** "True" is good news for Kubernetes' own conditions, except for those that announce an end. */
function toneOf({ type, status }: PodCondition) {
  if (type === "DisruptionTarget") return status === "True" ? "attention" : "neutral";
  if (status === "True") return "ok";
  return status === "False" ? "attention" : "neutral";
}
