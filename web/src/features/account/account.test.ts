import { describe, expect, it } from "vitest";
import { agentWords, readAgent } from "./agent.ts";
import { curlExample, defaultLifetime, expiry, lifetimes, nameFault } from "./tokens.ts";
import { rightsOf } from "./who.ts";
import { whatEnds } from "./words.ts";

describe("what a browser calls itself", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox 142 on Linux", "desktop"],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
      "Edge 141 on Windows",
      "desktop",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
      "Chrome 141 on macOS",
      "desktop",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
      "Safari 18 on macOS",
      "desktop",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
      "Safari 18 on iPhone",
      "phone",
    ],
    [
      "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
      "Chrome 141 on Android",
      "phone",
    ],
    [
      "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 OPR/120.0.0.0",
      "Opera 120 on ChromeOS",
      "desktop",
    ],
    ["curl/8.5.0", "curl 8.5", "program"],
    ["Go-http-client/1.1", "Go-http-client 1.1", "program"],
    ["Mozilla/5.0 (compatible)", "Mozilla/5.0 (compatible)", "program"],
    ["", "Unknown browser", "program"],
    ["<b>x</b>".repeat(40), "<b>x</b>".repeat(40).slice(0, 60), "program"],
  ])("%s", (said, words, kind) => {
    const agent = readAgent(said);
    expect([agentWords(agent), agent.kind]).toEqual([words, kind]);
  });
});

const DAY = 24 * 3600;

describe("lifetimes", () => {
  it("are the usual ones within the limit, and the limit", () => {
    const all = lifetimes({ maxLifetimeSeconds: 45 * DAY, noExpiry: false, maxPerPerson: 20 });
    expect(all.map(({ name }) => name)).toEqual(["1 day", "7 days", "30 days", "45 days"]);
    expect(defaultLifetime(45 * DAY)).toBe(30 * DAY);
  });

  it("hold a limit of hours, and never where that is allowed", () => {
    const all = lifetimes({ maxLifetimeSeconds: 5400, noExpiry: true, maxPerPerson: 20 });
    expect(all).toEqual([
      { seconds: 5400, name: "1.5 hours" },
      { seconds: 0, name: "Never" },
    ]);
    expect(defaultLifetime(5400)).toBe(5400);
  });
});

describe("an expiry", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  const inSeconds = (s: number) => ({ expiresAt: new Date(now + s * 1000).toISOString() });
  it.each([
    [inSeconds(30 * DAY), "neutral", "in 30d"],
    [inSeconds(30 * DAY - 1), "neutral", "in 30d"],
    [inSeconds(29 * DAY), "neutral", "in 29d"],
    [inSeconds(5 * DAY - 1), "attention", "in 5d"],
    [inSeconds(59), "attention", "in 59s"],
    [inSeconds(0), "broken", "Expired"],
    [inSeconds(-DAY), "broken", "Expired"],
    [{ expiresAt: null }, "attention", "Never"],
  ])("%j", (token, tone, word) => expect(expiry(token, now)).toEqual({ tone, word }));
});

describe("a name", () => {
  it("is refused where it is taken or too long", () => {
    expect(nameFault("ci ", ["ci"])).toContain("You have a token of this name");
    expect(nameFault("é".repeat(65), [])).toContain("64");
    expect(nameFault("é".repeat(64), ["ci"])).toBe("");
    expect(nameFault("", [])).toBe("");
  });
});

describe("words", () => {
  it("say what signing out everywhere ends", () => {
    expect(whatEnds(3, 1, 2)).toEqual([
      "3 browsers are signed out, this one too",
      "1 shell ends, and what runs there",
      "2 access tokens are revoked for good",
    ]);
    expect(whatEnds(1, 0, 0)).toEqual(["This browser is signed out"]);
    expect(whatEnds()).toEqual([
      "Every browser is signed out, this one too",
      "Every shell ends, and what runs there",
      "Every access token is revoked for good",
    ]);
  });

  it("say as whom clusters see somebody", () => {
    expect(rightsOf({ authzMode: "tier", tier: "triage" })).toBe("tier: triage");
    expect(rightsOf({ authzMode: "shared", tier: "" })).toBe("server’s rights");
    expect(rightsOf({ authzMode: "raw", tier: "" })).toBe("own groups");
  });

  it("give curl what it needs", () => {
    expect(curlExample("psc_x", "https://p.example")).toBe(
      'export PERISCOPE_TOKEN=psc_x\ncurl -H "Authorization: Bearer $PERISCOPE_TOKEN" \\\n  https://p.example/api/clusters',
    );
  });
});
