import { describe, expect, it } from "vitest";
import { explain, explainStale } from "./explain.ts";
import { AGENT_DISCONNECTED, ApiFault } from "./fault.ts";
import { clustersInterval } from "./queries.ts";

const since = "2026-11-21T14:03:12Z";
const SAID = "The agent of cluster edge has been away since 14:03:12 UTC (12s). It comes back by itself when it can.";
const away = (at: string | null) => new ApiFault(AGENT_DISCONNECTED, SAID, 503, "r1", true, at);
const link = (state: "connected" | "reconnecting" | "away") => ({ state, since, agentVersion: "" });

describe("an agent that is away", () => {
  it("is told in the reader's own time, which goes on", () => {
    const told = explain(away(since));
    expect(told).toMatchObject({ since, requestId: "r1", kind: "other" });
    expect(told.message).toMatch(/^It has kept no link since /);
    expect(told.message).not.toContain("UTC");
    expect(told.next).toMatch(/comes back by itself/);
  });

  it("is told in the server's words where no time is known", () => {
    expect(explain(away(null))).toMatchObject({ message: SAID, next: "", since: null });
  });
});

describe("what is shown and old", () => {
  const query = (error: unknown) => ({ isRefetchError: true, error });

  it("is explained, unless the bar about the cluster's link does", () => {
    expect(explainStale({ isRefetchError: false, error: null }, null)).toBeNull();
    expect(explainStale(query(away(since)), link("away"))).toBeNull();
    expect(explainStale(query(away(null)), link("reconnecting"))).toBeNull();
    // The list of clusters may come later than the answer.
    expect(explainStale(query(away(since)), link("connected"))?.since).toBe(since);
    expect(explainStale(query(away(since)), null)?.since).toBe(since);
  });

  it("is explained where the link is not to blame", () => {
    const forbidden = new ApiFault("E_FORBIDDEN", "no", 403, "r1", true);
    expect(explainStale(query(forbidden), link("away"))?.kind).toBe("forbidden");
  });
});

describe("the list of clusters", () => {
  it("is asked for sooner where a link may break, and soonest while one is restored", () => {
    expect(clustersInterval([{ link: null }])).toBe(15_000);
    expect(clustersInterval([{ link: null }, { link: link("connected") }])).toBe(5_000);
    expect(clustersInterval([{ link: link("away") }])).toBe(5_000);
    expect(clustersInterval([{ link: link("connected") }, { link: link("reconnecting") }])).toBe(3_000);
  });
});
