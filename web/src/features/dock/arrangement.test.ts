import { describe, expect, it } from "vitest";
import {
  type Arrangement,
  add,
  move,
  neighbour,
  remove,
  replace,
  select,
  showBeside,
  swapIn,
  unsplit,
} from "./arrangement.ts";
import { cleanName, NAME_LIMIT, type Named, nextNumber, tabNames } from "./names.ts";

const three: Arrangement = { order: ["a", "b", "c"], activeId: "a", panes: null };
const split: Arrangement = { ...three, panes: ["a", "b"] };

describe("an arrangement", () => {
  it("shows one shell at a time, the newest last", () => {
    expect(select(three, "c")).toEqual({ ...three, activeId: "c" });
    expect(select(three, "gone")).toBe(three);
    expect(add(three, "d")).toEqual({ order: ["a", "b", "c", "d"], activeId: "d", panes: null });
    expect(add({ order: [], activeId: "", panes: null }, "a")).toEqual({ order: ["a"], activeId: "a", panes: null });
  });

  it("goes round the ends", () => {
    expect(neighbour(three, -1)).toBe("c");
    expect(neighbour({ ...three, activeId: "c" }, 1)).toBe("a");
    expect(neighbour({ order: [], activeId: "", panes: null }, 1)).toBe("");
  });

  it("splits, and the chosen shell gets the keyboard", () => {
    expect(showBeside(three, "c")).toEqual({ ...three, activeId: "c", panes: ["a", "c"] });
    expect(showBeside(three, "a")).toBe(three);
    expect(showBeside(split, "b")).toEqual({ ...split, activeId: "b" });
    expect(showBeside({ ...split, activeId: "b" }, "c")).toEqual({ ...split, activeId: "c", panes: ["c", "b"] });
  });

  it("changes the active pane alone when another tab is chosen", () => {
    expect(select(split, "b")).toEqual({ ...split, activeId: "b" });
    expect(select(split, "c")).toEqual({ ...split, activeId: "c", panes: ["c", "b"] });
    expect(add({ ...split, activeId: "b" }, "d").panes).toEqual(["a", "d"]);
  });

  it("puts another shell into either pane, and swaps the two", () => {
    expect(swapIn(split, "b", "c")).toEqual({ ...split, activeId: "c", panes: ["a", "c"] });
    expect(swapIn(split, "b", "a")).toEqual({ ...split, activeId: "a", panes: ["b", "a"] });
    expect(swapIn(three, "a", "b")).toEqual({ ...three, activeId: "b" });
  });

  it("keeps both as tabs when it is unsplit", () => {
    expect(unsplit({ ...split, activeId: "b" })).toEqual({ ...three, activeId: "b" });
  });

  it("gives the room of a closed pane to the other", () => {
    expect(remove(split, "a")).toEqual({ order: ["b", "c"], activeId: "b", panes: null });
    expect(remove({ ...split, activeId: "b" }, "a")).toEqual({ order: ["b", "c"], activeId: "b", panes: null });
    expect(remove(split, "c")).toEqual({ order: ["a", "b"], activeId: "a", panes: ["a", "b"] });
    expect(remove({ ...three, activeId: "c" }, "c")).toEqual({ order: ["a", "b"], activeId: "b", panes: null });
    expect(remove({ order: ["a"], activeId: "a", panes: null }, "a")).toEqual({ order: [], activeId: "", panes: null });
  });

  it("renews a shell where it stood", () => {
    expect(replace(split, "b", "x")).toEqual({ order: ["a", "x", "c"], activeId: "a", panes: ["a", "x"] });
  });

  it("moves tabs, to the ends at most", () => {
    expect(move(three, "a", 1).order).toEqual(["b", "a", "c"]);
    expect(move(three, "a", 99).order).toEqual(["b", "c", "a"]);
    expect(move(three, "c", -5).order).toEqual(["c", "a", "b"]);
    expect(move(three, "gone", 0)).toBe(three);
  });

  it("always has the active shell in view, whatever is done", () => {
    const ids = ["a", "b", "c", "d"];
    const acts: ((now: Arrangement, id: string) => Arrangement)[] = [
      select,
      showBeside,
      remove,
      unsplit,
      (now, id) => swapIn(now, now.activeId, id),
      (now, id) => (now.order.includes(id) ? now : add(now, id)),
      (now, id) => move(now, id, 1),
    ];
    let now: Arrangement = { order: ids, activeId: "a", panes: null };
    for (let i = 0; i < 5_000; i++) {
      const act = acts[(i * 7919) % acts.length];
      now = act?.(now, ids[(i * 104_729 + (i >> 3)) % ids.length] ?? "") ?? now;
      expect(now.order.includes(now.activeId) || now.order.length === 0).toBe(true);
      if (!now.panes) continue;
      expect(now.panes).toContain(now.activeId);
      expect(now.panes[0]).not.toBe(now.panes[1]);
      for (const id of now.panes) expect(now.order).toContain(id);
    }
  });
});

describe("a tab's name", () => {
  const at = (id: string, target: Partial<Named["target"]> = {}, name = "", number = 1): Named => ({
    id,
    name,
    number,
    target: { cluster: "prod", namespace: "shop", pod: "web-0", container: "app", ...target },
  });
  const names = (...shells: Named[]) => [...tabNames(shells).values()];

  it("is one line of bounded length", () => {
    expect(cleanName("  the\tbad\r\none \u001b[31m ")).toBe("the bad one [31m");
    expect([...cleanName("🚀".repeat(99))]).toHaveLength(NAME_LIMIT);
    expect(cleanName(" \n ")).toBe("");
  });

  it("is the pod's, with whatever tells it from another of that name", () => {
    expect(names(at("a"), at("b", { pod: "db-0" }))).toEqual(["web-0", "db-0"]);
    expect(names(at("a"), at("b", { cluster: "dev" }))).toEqual(["web-0 · prod", "web-0 · dev"]);
    expect(names(at("a"), at("b", { container: "proxy" }))).toEqual(["web-0 · app", "web-0 · proxy"]);
    expect(names(at("a"), at("b", {}, "", 2))).toEqual(["web-0", "web-0 (2)"]);
  });

  it("says first what a shell beside another container debugs", () => {
    expect(names(at("a", { debug: "busybox" }))).toEqual(["debug · app · web-0"]);
    expect(names(at("a"), at("b", { debug: "busybox" }))).toEqual(["web-0 · app", "debug · app · web-0"]);
    expect(names(at("a", { container: "debug-1", of: "app" }, "", 2))).toEqual(["debug · app · web-0 (2)"]);
    expect(nextNumber([at("a")], at("b", { debug: "busybox" }).target)).toBe(1);
    expect(nextNumber([at("a", { container: "debug-1", of: "app" })], at("b", { debug: "x" }).target)).toBe(2);
  });

  it("that was given is kept as it is, and needs no other told apart from it", () => {
    expect(names(at("a"), at("b", {}, "the bad one", 2))).toEqual(["web-0", "the bad one"]);
  });

  it("numbers each container's shells, and never anew", () => {
    expect(nextNumber([], at("x").target)).toBe(1);
    expect(nextNumber([at("b", {}, "", 2)], at("x").target)).toBe(3);
    expect(nextNumber([at("b", { container: "proxy" }, "", 2)], at("x").target)).toBe(1);
  });
});
