import { useQuery } from "@tanstack/react-query";
import { SquareTerminal } from "lucide-react";
import { Tabs } from "radix-ui";
import type { ReactNode } from "react";
import type { PodRef } from "../../api/endpoints.ts";
import { explain, explainStale } from "../../api/explain.ts";
import { asFault } from "../../api/fault.ts";
import { debugRightQuery, execRightsQuery, featuresQuery, podQuery } from "../../api/queries.ts";
import { kindWord, shellContainers, shellless, shelllessKey, whyNoDebug, whyNoShell } from "../../api/shells.ts";
import type { Cluster, Pod } from "../../api/types.ts";
import { notify } from "../../lib/notice.ts";
import { podTone } from "../../lib/podStatus.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { LinkBar } from "../../ui/LinkBar.tsx";
import { Menu, MenuItem } from "../../ui/Menu.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Status } from "../../ui/Status.tsx";
import { Fault, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { useStore } from "../../ui/useStore.ts";
import { Conditions } from "./Conditions.tsx";
import { Containers, type DebugProps } from "./Containers.tsx";
import { Events } from "./Events.tsx";
import { Facts } from "./Facts.tsx";
import { useShellKey } from "./useShellKey.ts";

export const POD_TABS = ["containers", "events", "conditions", "metadata"] as const;
export type PodTab = (typeof POD_TABS)[number];

const TAB_NAMES: Record<PodTab, string> = {
  containers: "Containers",
  events: "Events",
  conditions: "Conditions",
  metadata: "Labels",
};

export interface PodPageProps {
  cluster: Cluster;
  target: PodRef;
  tab: PodTab;
  onTab(tab: PodTab): void;
  who: string;
  /** Of whoever is signed in; empty where there are no tiers. */
  tier: string;
  onOpenShell(pod: Pod, container?: string): void;
  /** A shell in a debug container that looks into another. */
  onDebug(pod: Pod, container: string, image: string): void;
  onGone(): void;
}

export function PodPage({ cluster, target, tab, onTab, who, tier, onOpenShell, onDebug, onGone }: PodPageProps) {
  const { query, failure } = useAsked(podQuery(target));
  const rights = useQuery(execRightsQuery(target.cluster, [target.namespace])).data;
  const debugs = useDebug(cluster, target, tier);
  const pod = query.data;
  const gone = pod !== undefined && query.isRefetchError && asFault(query.error).status === 404;

  const bar = <LinkBar cluster={target.cluster} link={cluster.link} shown={pod !== undefined} />;
  if (!pod) {
    return (
      <>
        {bar}
        {failure ? (
          <Fault
            fault={explain(failure)}
            who={who}
            retry={() => query.refetch()}
            actions={<Button onClick={onGone}>Show the pods of {target.namespace}</Button>}
          />
        ) : (
          <Skeleton rows={10} label="Loading the pod" />
        )}
      </>
    );
  }
  const whyNot = gone ? "The pod is gone." : whyNoShell(cluster, pod, rights, tier);
  return (
    <div className="h-full overflow-auto">
      {bar}
      {gone ? (
        <Gone onBack={onGone} />
      ) : (
        <Stale
          what="The facts"
          at={query.dataUpdatedAt}
          fault={explainStale(query, cluster.link)}
          retry={() => void query.refetch()}
        />
      )}
      <div className="mx-auto max-w-6xl px-4 py-5">
        <Heading cluster={target.cluster} pod={pod} gone={gone}>
          {cluster.execEnabled ? (
            <ShellAction pod={pod} whyNot={whyNot} onOpen={(container) => onOpenShell(pod, container)} />
          ) : (
            <NoShells why={whyNot} />
          )}
        </Heading>
        <Facts pod={pod} />
        <PodTabs
          {...{ cluster, target, tab, onTab, who, onOpenShell }}
          pod={pod}
          whyNot={whyNot}
          debug={{ ...debugs, onDebug: (container, image) => onDebug(pod, container, image) }}
        />
      </div>
    </div>
  );
}

/** What there is to know of debug containers in a pod. */
function useDebug(cluster: Cluster, target: PodRef, tier: string): Omit<DebugProps, "onDebug"> {
  const images = useQuery(featuresQuery()).data?.exec?.debugImages ?? [];
  const asked = {
    ...debugRightQuery(target.cluster, target.namespace),
    enabled: images.length > 0 && cluster.execEnabled,
  };
  const right = useQuery(asked).data;
  const known = useStore(shellless);
  return {
    images,
    whyNot: whyNoDebug(right, target.namespace, tier),
    shellless: (container) => known.has(shelllessKey(target, container)),
  };
}

type PodTabsProps = Omit<PodPageProps, "onGone" | "onDebug" | "tier"> & { pod: Pod; whyNot: string; debug: DebugProps };

function PodTabs({ cluster, target, tab, onTab, who, onOpenShell, pod, whyNot, debug }: PodTabsProps) {
  return (
    <Tabs.Root value={tab} onValueChange={(next) => onTab(next as PodTab)}>
      <Tabs.List aria-label="About the pod" className="mb-4 flex gap-1 overflow-x-auto border-b border-line">
        {POD_TABS.map((name) => (
          <Tabs.Trigger
            key={name}
            value={name}
            className="-mb-px h-9 border-b-2 border-transparent px-3 text-sm font-medium text-muted outline-offset-[-2px] hover:text-text data-[state=active]:border-accent data-[state=active]:text-text"
          >
            {TAB_NAMES[name]}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      <Tabs.Content value="containers">
        <Containers
          pod={pod}
          shells={cluster.execEnabled}
          whyNot={whyNot}
          onOpenShell={(container) => onOpenShell(pod, container)}
          debug={debug}
        />
      </Tabs.Content>
      <Tabs.Content value="events">
        <Events target={target} who={who} many={pod.containers.length > 1} />
      </Tabs.Content>
      <Tabs.Content value="conditions">
        <Conditions conditions={pod.conditions} />
      </Tabs.Content>
      <Tabs.Content value="metadata">
        <Pairs title="Labels" pairs={pod.labels} />
        <Pairs title="Annotations" pairs={pod.annotations} />
      </Tabs.Content>
    </Tabs.Root>
  );
}

function Gone({ onBack }: { onBack(): void }) {
  return (
    <div role="status" className="flex flex-wrap items-center gap-3 bg-attention-soft px-4 py-2 text-sm text-attention">
      This pod is gone. What is shown here is the last that was known of it.
      <Button size="sm" onClick={onBack}>
        Back to the pods
      </Button>
    </div>
  );
}

interface HeadingProps {
  cluster: string;
  pod: Pod;
  gone: boolean;
  children: ReactNode;
}

function Heading({ cluster, pod, gone, children }: HeadingProps) {
  return (
    <header className="mb-4 flex flex-wrap items-start gap-x-6 gap-y-3">
      <div className="min-w-0 flex-1 basis-64">
        <h1 className="group flex items-center gap-1 font-mono text-lg font-bold wrap-anywhere">
          {pod.name}
          <CopyButton quiet text={pod.name} what="pod name" />
        </h1>
        {/* The bar above says it where it has the room. */}
        <p className="font-mono text-xs leading-5 text-muted wrap-anywhere lg:hidden">
          {cluster} · {pod.namespace}
        </p>
        <p className="mt-0.5 flex flex-wrap items-center gap-x-3 text-sm text-muted">
          {gone ? <Status tone="attention" word="Gone" /> : <Status tone={podTone(pod)} word={pod.status} />}
          <span>
            {pod.readyContainers} of {pod.totalContainers} ready
          </span>
          <span>
            {pod.restarts} {pod.restarts === 1 ? "restart" : "restarts"}
          </span>
          <Age at={pod.createdAt} suffix=" old" />
        </p>
      </div>
      {children}
    </header>
  );
}

function ShellAction({ pod, whyNot, onOpen }: { pod: Pod; whyNot: string; onOpen(container?: string): void }) {
  const containers = shellContainers(pod);
  const many = containers.length > 1 && whyNot === "";
  useShellKey(() => (whyNot ? notify(whyNot) : onOpen(many ? undefined : containers[0]?.name)));
  const button = (
    <Button
      look="primary"
      aria-disabled={whyNot !== ""}
      aria-describedby={whyNot ? "why-no-shell" : undefined}
      onClick={() => !many && whyNot === "" && onOpen(containers[0]?.name)}
    >
      <SquareTerminal aria-hidden className="size-4" />
      Open shell
    </Button>
  );
  if (whyNot) {
    return (
      <div className="flex max-w-80 flex-col items-end gap-1 max-sm:items-start">
        {button}
        <p id="why-no-shell" className="text-right text-xs text-muted max-sm:text-left">
          {whyNot}
        </p>
      </div>
    );
  }
  if (!many) return button;
  return (
    <Menu label="Container" trigger={button}>
      {containers.map((container) => (
        <MenuItem key={container.name} onSelect={() => onOpen(container.name)}>
          <span className="font-mono text-xs">{container.name}</span>
          <span className="ml-auto pl-4 text-xs text-muted">
            {container.name === pod.defaultContainer ? "default" : kindWord(container)}
          </span>
        </MenuItem>
      ))}
    </Menu>
  );
}

/** In the place of the button; its key says the same. */
function NoShells({ why }: { why: string }) {
  useShellKey(() => notify(why));
  return <p className="text-sm text-muted">{why}</p>;
}

function Pairs({ title, pairs }: { title: string; pairs: Record<string, string> }) {
  const entries = Object.entries(pairs ?? {}).sort(([a], [b]) => a.localeCompare(b));
  return (
    <section className="mb-6">
      <h2 className="mb-2 text-sm font-semibold">{title}</h2>
      {entries.length === 0 ? <p className="text-sm text-muted">None.</p> : null}
      <dl className="flex flex-col overflow-hidden rounded-lg border border-line bg-surface empty:hidden">
        {entries.map(([key, value]) => (
          <div
            key={key}
            className="group grid gap-x-4 border-b border-line px-3 py-1.5 font-mono text-xs last:border-0 sm:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]"
          >
            <dt className="text-muted wrap-anywhere">{key}</dt>
            <dd className="flex items-start justify-between gap-2">
              <span className="whitespace-pre-wrap wrap-anywhere">{value || "(empty)"}</span>
              <CopyButton quiet text={`${key}=${value}`} what={title === "Labels" ? "label" : "annotation"} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
