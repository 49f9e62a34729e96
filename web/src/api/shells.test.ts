import { describe, expect, it } from "vitest";
import { kindWord, noteShellless, shellContainers, shellless, shelllessKey, whyNoDebug, whyNoShell } from "./shells.ts";
import type { ContainerSummary } from "./types.ts";

const container = (name: string, state: ContainerSummary["state"], kind: ContainerSummary["kind"] = "container") => ({
  name,
  kind,
  state,
  ready: true,
  target: kind === "ephemeral" ? "app" : "",
});
const pod = {
  namespace: "shop",
  defaultContainer: "app",
  containers: [
    container("app", "running"),
    container("setup", "terminated", "init"),
    container("dbg", "running", "ephemeral"),
  ],
};
const open = { execEnabled: true };

const yes = { allowed: true, decided: true };
const no = { allowed: false, decided: true };
const unknown = { allowed: false, decided: false };

describe("whether a shell can be opened", () => {
  it("takes every kind of container that runs", () => {
    expect(shellContainers(pod).map(({ name }) => name)).toEqual(["app", "dbg"]);
  });

  it("lets the server decide while rights are not known", () => {
    expect(whyNoShell(open, pod, undefined)).toBe("");
    expect(whyNoShell(open, pod, new Map())).toBe("");
    expect(whyNoShell(open, pod, new Map([["", no]]))).toBe("");
  });

  it("claims no missing right where the cluster gave no answer", () => {
    const rights = new Map([
      ["", no],
      ["shop", unknown],
    ]);
    expect(whyNoShell(open, pod, rights)).toBe("");
    expect(whyNoShell(open, pod, new Map([...rights, ["", unknown], ["shop", no]]))).toBe("");
  });

  it("names the missing right, and the tier that lacks it", () => {
    const rights = new Map([
      ["", no],
      ["shop", no],
    ]);
    expect(whyNoShell(open, pod, rights)).toBe(
      'You may not open shells in shop: the right "create pods/exec" is missing. Ask the owner of the cluster for it.',
    );
    expect(whyNoShell(open, pod, rights, "read")).toBe(
      'You may not open shells in shop: your tier (read) lacks the right "create pods/exec". Ask the owner of the cluster for it.',
    );
    expect(whyNoShell(open, pod, new Map([...rights, ["", yes]]), "read")).toBe("");
    expect(whyNoShell(open, pod, new Map([...rights, ["shop", yes]]), "read")).toBe("");
  });

  it("knows clusters without shells and pods without a running container", () => {
    expect(whyNoShell({ execEnabled: false }, pod, undefined)).toMatch(/switched off.* Ask whoever runs/);
    expect(whyNoShell(open, { ...pod, containers: [container("app", "waiting")] }, undefined)).toMatch(/running/);
  });
});

describe("what is known of debug containers", () => {
  it("names the missing right, and the tier that lacks it", () => {
    const denied = { ...no, reason: "" };
    expect(whyNoDebug(denied, "shop", "triage")).toBe(
      'You may not debug in shop: your tier (triage) lacks the right "patch pods/ephemeralcontainers". Ask the owner of the cluster for it.',
    );
    expect(whyNoDebug(denied, "shop")).toMatch(/you lack the right/);
    for (const right of [undefined, { ...yes, reason: "" }, { ...unknown, reason: "" }]) {
      expect(whyNoDebug(right, "shop")).toBe("");
    }
  });

  it("says what a container is for", () => {
    expect(pod.containers.map(kindWord)).toEqual(["", "init", "debug · app"]);
    expect(kindWord({ kind: "ephemeral", target: "" })).toBe("ephemeral");
  });

  it("remembers where there was no shell, the newest five hundred", () => {
    const ref = { cluster: "c", namespace: "n", pod: "p" };
    for (let i = 0; i < 510; i++) noteShellless(ref, `app-${i}`);
    noteShellless(ref, "app-509");
    expect(shellless.get().size).toBe(500);
    expect(shellless.get().has(shelllessKey(ref, "app-509"))).toBe(true);
    expect(shellless.get().has(shelllessKey(ref, "app-0"))).toBe(false);
  });
});
