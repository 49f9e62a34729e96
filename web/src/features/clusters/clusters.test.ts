import { describe, expect, it } from "vitest";
import { summary } from "./ClustersPage.tsx";

const at = (state: "connected" | "reconnecting" | "away") => ({
  connected: state === "connected",
  link: { state, since: null, agentVersion: "" },
});
const [up, down] = [true, false].map((connected) => ({ connected, link: null }));

describe("the summary of clusters", () => {
  it.each([
    [[up, up], "2 connected"],
    [[up, down], "1 of 2 connected"],
    [[up, at("connected"), at("away")], "2 of 3 connected"],
    // What the last check found does not count while its link is being restored.
    [[up, { ...at("reconnecting"), connected: true }], "1 of 2 connected · 1 reconnecting"],
  ])("%j: %s", (list, words) => {
    expect(summary(list as Parameters<typeof summary>[0])).toBe(words);
  });
});
