import type { ColumnDef } from "@tanstack/react-table";
import { createSortedRowModel, rowSortingFeature, tableFeatures } from "@tanstack/react-table";
import type { PodSummary } from "../../api/types.ts";

export const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
});

type PodColumn = ColumnDef<typeof features, PodSummary>;

const collator = new Intl.Collator("en", { numeric: true });

function text(id: ColumnId, read: (pod: PodSummary) => string): PodColumn {
  return {
    id,
    accessorFn: read,
    sortFn: (a, b) => collator.compare(read(a.original), read(b.original)),
  };
}

function number(id: ColumnId, read: (pod: PodSummary) => number): PodColumn {
  return { id, accessorFn: read, sortFn: (a, b) => read(a.original) - read(b.original) };
}

export const COLUMN_IDS = ["name", "namespace", "status", "ready", "restarts", "age", "node", "ip"] as const;
export type ColumnId = (typeof COLUMN_IDS)[number];

interface ColumnLook {
  title: string;
  /** A track of the grid. */
  width: string;
  right?: boolean;
}

export const LOOKS: Record<ColumnId, ColumnLook> = {
  name: { title: "Name", width: "minmax(220px, 3fr)" },
  namespace: { title: "Namespace", width: "minmax(110px, 1.2fr)" },
  status: { title: "Status", width: "minmax(150px, 1.2fr)" },
  ready: { title: "Ready", width: "72px", right: true },
  restarts: { title: "Restarts", width: "minmax(110px, 0.7fr)", right: true },
  age: { title: "Age", width: "84px", right: true },
  node: { title: "Node", width: "minmax(120px, 1fr)" },
  ip: { title: "IP", width: "minmax(120px, 0.8fr)" },
};

export const columns: PodColumn[] = [
  text("name", (pod) => `${pod.name} ${pod.namespace}`),
  text("namespace", (pod) => pod.namespace),
  text("status", (pod) => pod.status),
  number("ready", (pod) => (pod.totalContainers > 0 ? pod.readyContainers / pod.totalContainers : 0)),
  number("restarts", (pod) => pod.restarts),
  // Ages grow as creation times fall: the youngest comes first.
  number("age", (pod) => -(Date.parse(pod.createdAt) || 0)),
  text("node", (pod) => pod.node),
  text("ip", (pod) => pod.ip),
];

export function isColumnId(text: string): text is ColumnId {
  return (COLUMN_IDS as readonly string[]).includes(text);
}

/** "-restarts" in the address: by restarts, most first. */
export function parseSort(sort: string): { id: ColumnId; desc: boolean } {
  const desc = sort.startsWith("-");
  const id = desc ? sort.slice(1) : sort;
  return isColumnId(id) ? { id, desc } : { id: "name", desc: false };
}

export function formatSort({ id, desc }: { id: string; desc: boolean }): string | undefined {
  if (id === "name" && !desc) return undefined;
  return desc ? `-${id}` : id;
}
