import { describe, expect, it } from "vitest";
import { formatBytes } from "./bytes.ts";
import { matchScore, wordsOf } from "./match.ts";
import { hasCommandKey, platformOf } from "./platform.ts";
import { filterPods } from "./podFilter.ts";
import { containerTone, podTone } from "./podStatus.ts";
import { formatAge, formatClock, formatWhen } from "./time.ts";

const NOW = Date.parse("2026-01-10T00:00:00Z");
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

describe("ages", () => {
  it.each([
    [0, "0s"],
    [119, "119s"],
    [192, "3m12s"],
    [600, "10m"],
    [5 * 3600 + 240, "5h4m"],
    [40 * 3600, "40h"],
    [3 * 86400 + 3600, "3d1h"],
    [30 * 86400, "30d"],
    [800 * 86400, "2y70d"],
    [9 * 365 * 86400, "9y"],
  ])("are written as kubectl does: %i seconds", (seconds, text) => {
    expect(formatAge(ago(seconds), NOW)).toBe(text);
  });

  it("survive nonsense and clocks that run ahead", () => {
    expect(formatAge("not a time", NOW)).toBe("–");
    expect(formatAge(null, NOW)).toBe("–");
    expect(formatAge(ago(-30), NOW)).toBe("0s");
  });

  it("run as a clock", () => {
    expect(formatClock(134_000)).toBe("02:14");
    expect(formatClock(3_734_000)).toBe("1:02:14");
    expect(formatClock(-5)).toBe("00:00");
  });

  it("name today by the clock alone, and any other day", () => {
    const short = formatWhen(ago(60), NOW - 60_000);
    expect(formatWhen(ago(3 * 86400), NOW).length).toBeGreaterThan(short.length);
    expect(formatWhen("never", NOW)).toBe("a time unknown");
  });
});

it("writes sizes in binary units", () => {
  expect([0, 1023, 1536, 131_072, 5 * 1024 ** 2].map(formatBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "128 KiB",
    "5.0 MiB",
  ]);
});

describe("pod states", () => {
  const tone = (status: string, readyContainers = 1) => podTone({ status, readyContainers, totalContainers: 1 });

  it("mean what kubectl users expect", () => {
    expect(tone("Running")).toBe("ok");
    expect(tone("Running", 0)).toBe("attention");
    expect(tone("Completed", 0)).toBe("neutral");
    for (const status of ["Pending", "ContainerCreating", "Init:0/2", "Terminating"])
      expect(tone(status)).toBe("attention");
    for (const status of [
      "CrashLoopBackOff",
      "Error",
      "Init:Error",
      "ImagePullBackOff",
      "ErrImagePull",
      "OOMKilled",
      "Evicted",
      "Init:CrashLoopBackOff",
      "CreateContainerConfigError",
      "ExitCode:3",
    ])
      expect(tone(status), status).toBe("broken");
    expect(tone("SomethingNew")).toBe("info");
  });

  it("hold for containers", () => {
    expect(containerTone({ state: "running", ready: true })).toBe("ok");
    expect(containerTone({ state: "terminated", ready: false, exitCode: 0 })).toBe("neutral");
    expect(containerTone({ state: "terminated", ready: false, exitCode: 137 })).toBe("broken");
    expect(containerTone({ state: "waiting", ready: false, reason: "CrashLoopBackOff" })).toBe("broken");
  });
});

describe("finding", () => {
  const pods = [
    { namespace: "payments", name: "ledger-0", status: "Running", node: "node-1", ip: "10.0.0.1" },
    { namespace: "default", name: "api-7", status: "CrashLoopBackOff", node: "node-2", ip: "10.0.0.2" },
  ];

  it("filters by every word, anywhere", () => {
    expect(filterPods(pods, "").length).toBe(2);
    expect(filterPods(pods, "PAY led").map((pod) => pod.name)).toEqual(["ledger-0"]);
    expect(filterPods(pods, "crash node-2").map((pod) => pod.name)).toEqual(["api-7"]);
    expect(filterPods(pods, "crash node-1")).toEqual([]);
  });

  it("ranks the start of words first", () => {
    const words = wordsOf("api");
    expect(matchScore("payments-api", words)).toBeGreaterThan(matchScore("capitals", words));
    expect(matchScore("api", words)).toBeGreaterThan(matchScore("api-long-name", words));
    expect(matchScore("ledger", words)).toBe(0);
  });
});

it("knows the platform's command key", () => {
  expect(platformOf("Mozilla/5.0 (Macintosh; Intel Mac OS X)")).toBe("mac");
  expect(platformOf("Mozilla/5.0 (Windows NT 10.0)")).toBe("windows");
  expect(platformOf("Mozilla/5.0 (X11; Linux x86_64)")).toBe("linux");
  expect(hasCommandKey({ metaKey: true, ctrlKey: false }, "mac")).toBe(true);
  expect(hasCommandKey({ metaKey: false, ctrlKey: true }, "mac")).toBe(false);
  expect(hasCommandKey({ metaKey: false, ctrlKey: true }, "linux")).toBe(true);
});
