import { describe, expect, it, vi } from "vitest";
import type { Cluster, PodSummary } from "../../api/types.ts";
import {
  clusterEntries,
  commandEntries,
  findEntries,
  type ListState,
  loadingOf,
  notesOf,
  podEntries,
  SHOWN,
} from "./entries.ts";

const cluster = { name: "demo", connected: true, environment: "dev", execEnabled: true, link: null } as Cluster;
const pods = Array.from(
  { length: 500 },
  (_, i) => ({ uid: `u${i}`, name: `api-${i}`, namespace: "shop" }) as PodSummary,
);
const actions = { goToCluster: vi.fn(), goToPod: vi.fn(), openShell: vi.fn() };
const all = [
  ...podEntries([{ cluster, pods }], actions),
  ...clusterEntries([cluster], actions),
  ...commandEntries([{ name: "Settings", words: "font", run: vi.fn() }]),
];

describe("the palette", () => {
  it("shows a little of everything at first", () => {
    expect(new Set(findEntries(all, "").map((entry) => entry.group))).toEqual(
      new Set(["Pods", "Clusters", "Commands"]),
    );
  });

  it("finds, bounds and groups", () => {
    expect(findEntries(all, "api").length).toBe(SHOWN);
    expect(findEntries(all, "shop 499").map((entry) => entry.name)).toEqual(["api-499"]);
    expect(findEntries(all, "FONT").map((entry) => entry.name)).toEqual(["Settings"]);
    expect(findEntries(all, "nothing of the kind")).toEqual([]);
    const groups = findEntries(all, "demo").map((entry) => entry.group);
    expect(groups[0]).toBe("Clusters");
    expect(groups.lastIndexOf("Clusters")).toBe(groups.indexOf("Pods") - 1);
  });

  it("goes there, or opens a shell there", () => {
    const [pod] = findEntries(all, "api-7");
    pod?.run();
    pod?.alternate?.();
    expect(actions.goToPod).toHaveBeenCalledWith("demo", pods[7]);
    expect(actions.openShell).toHaveBeenCalledWith(cluster, pods[7]);
  });

  it("says how a cluster is doing that is not simply connected", () => {
    const linked = (name: string, state: "connected" | "reconnecting" | "away") =>
      ({ ...cluster, name, connected: state !== "away", link: { state, since: null, agentVersion: "" } }) as Cluster;
    const list = [cluster, linked("a", "connected"), linked("b", "reconnecting"), linked("c", "away")];
    const details = clusterEntries([...list, { ...cluster, connected: false }], actions).map(({ detail }) => detail);
    expect(details).toEqual(["dev", "dev", "reconnecting", "away", "not connected"]);
  });

  it("offers a shell only where the cluster has them", () => {
    const [open] = podEntries([{ cluster, pods }], actions);
    open?.alternate?.();
    expect(actions.openShell).toHaveBeenCalledWith(cluster, pods[0]);
    const [locked] = podEntries([{ cluster: { ...cluster, execEnabled: false }, pods }], actions);
    expect(locked?.alternate).toBeUndefined();
  });

  it("says in few lines what is not listed", () => {
    const list = (name: string, change: Partial<ListState>): ListState => ({
      cluster: name,
      failure: "",
      loading: false,
      some: false,
      ...change,
    });
    expect(notesOf([list("a", {}), list("b", { some: true })])).toEqual([]);
    expect(loadingOf([list("a", {}), list("b", { some: true })])).toBe("");
    const loading = ["a", "b", "c", "d"].map((name) => list(name, { loading: true }));
    expect(loadingOf(loading)).toBe("Still loading the pods of 4 clusters");
    expect(notesOf(loading)).toEqual([]);
    const failed = [
      list("a", { failure: "away" }),
      list("b", { failure: "It took too long", some: true }),
      list("c", { failure: "away" }),
    ];
    expect(notesOf(failed)).toEqual([
      "Pods of a, c are not listed: away",
      "Only some pods of b are listed: It took too long",
    ]);
  });
});
