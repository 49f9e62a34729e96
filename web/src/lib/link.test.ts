import { describe, expect, it } from "vitest";
import { type AgentLink, linkWords, reachOf } from "./link.ts";

const at = "2026-11-21T14:03:12Z";
const link = (state: AgentLink["state"], since: string | null = at): AgentLink => ({
  state,
  since,
  agentVersion: "1.2.0",
});

describe("a cluster's state", () => {
  it.each([
    ["a direct cluster", true, null, "ok", "Connected", null],
    ["a direct cluster that is silent", false, null, "broken", "Not connected", null],
    ["an agent with its link", true, link("connected"), "ok", "Connected", at],
    ["an agent whose apiserver is silent", false, link("connected"), "broken", "Not answering", null],
    ["a link that is being restored", true, link("reconnecting"), "attention", "Reconnecting", at],
    // The last check may be older than the cut.
    ["the same where nothing was checked yet", false, link("reconnecting"), "attention", "Reconnecting", at],
    ["an agent that is gone", true, link("away"), "broken", "Away", at],
    ["an agent that never came", false, link("away", null), "attention", "Away", null],
  ] as const)("%s", (_, connected, of, tone, word, since) => {
    expect(reachOf({ connected, link: of })).toEqual({ tone, word, since });
  });

  it("says nothing more where all is well", () => {
    expect(linkWords(null)).toBe("");
    expect(linkWords(link("connected"))).toBe("");
  });

  it("says what goes on, since when, and what to do", () => {
    expect(linkWords(link("reconnecting"))).toMatch(/being restored.*shells wait/);
    expect(linkWords(link("away"))).toMatch(/no link since .*comes back by itself.*check/);
    expect(linkWords(link("away", null))).toMatch(/^No agent has connected.*enrols/);
  });
});
