import type { Cluster, PodSummary } from "../../api/types.ts";
import { reachOf } from "../../lib/link.ts";
import { matchScore, wordsOf } from "../../lib/match.ts";

/** One thing the palette can do. `alternate` is done with Ctrl or Cmd held. */
export interface Entry {
  id: string;
  group: "Commands" | "Clusters" | "Pods";
  name: string;
  /** Said behind the name. */
  detail: string;
  mono: boolean;
  /** Lower case; what typing is matched against. */
  text: string;
  run(): void;
  alternate?: () => void;
}

export interface Command {
  name: string;
  words?: string;
  run(): void;
}

export interface PalettePods {
  cluster: Cluster;
  pods: readonly PodSummary[];
}

/** How far the list of a cluster's pods is. */
export interface ListState {
  cluster: string;
  /** Why there is none, in a few words; empty where there is one, or will be. */
  failure: string;
  loading: boolean;
  /** Pods that were shown before are there in its place. */
  some: boolean;
}

export interface PaletteActions {
  goToCluster(cluster: string): void;
  goToPod(cluster: string, pod: PodSummary): void;
  openShell(cluster: Cluster, pod: PodSummary): void;
}

export const SHOWN = 60;
/** Of each group, while nothing is typed. */
const SHOWN_AT_FIRST = 7;

export function commandEntries(commands: readonly Command[]): Entry[] {
  return commands.map(({ name, words = "", run }) => ({
    id: `command/${name}`,
    group: "Commands",
    name,
    detail: "",
    mono: false,
    text: `${name} ${words}`.toLowerCase(),
    run,
  }));
}

export function clusterEntries(clusters: readonly Cluster[], actions: PaletteActions): Entry[] {
  return clusters.map((cluster) => ({
    id: `cluster/${cluster.name}`,
    group: "Clusters",
    name: cluster.name,
    detail: detailOf(cluster),
    mono: true,
    text: `cluster ${cluster.name} ${cluster.environment}`.toLowerCase(),
    run: () => actions.goToCluster(cluster.name),
  }));
}

function detailOf(cluster: Cluster): string {
  const { tone, word } = reachOf(cluster);
  return tone === "ok" ? cluster.environment : word.toLowerCase();
}

export function podEntries(lists: readonly PalettePods[], actions: PaletteActions): Entry[] {
  return lists.flatMap(({ cluster, pods }) =>
    pods.map(
      (pod): Entry => ({
        id: `pod/${cluster.name}/${pod.uid}`,
        group: "Pods",
        name: pod.name,
        detail: lists.length > 1 ? `${cluster.name} · ${pod.namespace}` : pod.namespace,
        mono: true,
        text: `${pod.name} ${pod.namespace} ${cluster.name}`.toLowerCase(),
        run: () => actions.goToPod(cluster.name, pod),
        alternate: cluster.execEnabled ? () => actions.openShell(cluster, pod) : undefined,
      }),
    ),
  );
}

/** The best entries for what was typed, grouped, with the group of the best one first. */
export function findEntries(entries: readonly Entry[], typed: string): Entry[] {
  const words = wordsOf(typed);
  if (words.length === 0) return firstOfEach(entries);
  const scored = entries
    .map((entry) => ({ entry, score: matchScore(entry.text, words) + nameBonus(entry, words) }))
    .filter(({ score }) => score >= 1)
    .sort((a, b) => b.score - a.score)
    .slice(0, SHOWN);
  const groups = [...new Set(scored.map(({ entry }) => entry.group))];
  return groups.flatMap((group) => scored.filter(({ entry }) => entry.group === group).map(({ entry }) => entry));
}

/** What is called so comes before what only belongs to it; not enough to make a match of what is none. */
function nameBonus({ name }: Entry, [first = ""]: readonly string[]): number {
  return name.toLowerCase().startsWith(first) ? 0.9 : 0;
}

function firstOfEach(entries: readonly Entry[]): Entry[] {
  const taken = new Map<Entry["group"], number>();
  return entries.filter(({ group }) => {
    const count = (taken.get(group) ?? 0) + 1;
    taken.set(group, count);
    return count <= SHOWN_AT_FIRST;
  });
}

/** What may yet come to the entries; empty: nothing. */
export function loadingOf(lists: readonly ListState[]): string {
  const loading = lists.filter((list) => list.loading);
  return loading.length > 0 ? `Still loading the pods of ${namesOf(loading)}` : "";
}

/** What is not among the entries, and why: or nobody could tell a pod that is not there from one that is not listed. */
export function notesOf(lists: readonly ListState[]): string[] {
  const notes: string[] = [];
  const failed = lists.filter((list) => list.failure !== "");
  for (const failure of new Set(failed.map((list) => list.failure))) {
    const alike = failed.filter((list) => list.failure === failure);
    const [some, none] = [alike.filter((list) => list.some), alike.filter((list) => !list.some)];
    if (some.length > 0) notes.push(`Only some pods of ${namesOf(some)} are listed: ${failure}`);
    if (none.length > 0) notes.push(`Pods of ${namesOf(none)} are not listed: ${failure}`);
  }
  return notes;
}

const NAMED = 3;

function namesOf(lists: readonly ListState[]): string {
  return lists.length > NAMED ? `${lists.length} clusters` : lists.map(({ cluster }) => cluster).join(", ");
}
