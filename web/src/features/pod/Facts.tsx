import type { ReactNode } from "react";
import type { Pod } from "../../api/types.ts";

/** The few facts one looks for first. */
export function Facts({ pod }: { pod: Pod }) {
  const owner = pod.owner ? `${pod.owner.kind}/${pod.owner.name}` : "";
  return (
    <dl className="mb-5 grid grid-cols-2 gap-x-10 gap-y-3 rounded-lg sm:flex sm:flex-wrap border border-line bg-surface px-4 py-3">
      <Fact name="Node">{pod.node}</Fact>
      <Fact name="Pod IP">{pod.ip}</Fact>
      <Fact name="Host IP">{pod.hostIP}</Fact>
      <Fact name="Controlled by">{owner}</Fact>
      <Fact name="Service account">{pod.serviceAccount}</Fact>
      <Fact name="QoS class">{pod.qosClass}</Fact>
      {pod.reason ? <Fact name="Reason">{pod.reason}</Fact> : null}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="font-mono text-xs leading-5 wrap-anywhere">{children || "–"}</dd>
    </div>
  );
}
