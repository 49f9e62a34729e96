import { describe, expect, it } from "vitest";
import { shellContainers, whyNoShell } from "./shells.ts";
import type { ContainerSummary } from "./types.ts";

const container = (name: string, state: ContainerSummary["state"], kind: ContainerSummary["kind"] = "container") => ({
  name,
  kind,
  state,
  ready: true,
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

describe("whether a shell can be opened", () => {
  it("takes every kind of container that runs", () => {
    expect(shellContainers(pod).map(({ name }) => name)).toEqual(["app", "dbg"]);
  });

  it("lets the server decide while rights are not known", () => {
    expect(whyNoShell(open, pod, undefined)).toBe("");
    expect(whyNoShell(open, pod, new Map())).toBe("");
    expect(whyNoShell(open, pod, new Map([["", false]]))).toBe("");
  });

  it("names the missing right", () => {
    const rights = new Map([
      ["", false],
      ["shop", false],
    ]);
    expect(whyNoShell(open, pod, rights)).toMatch(/shop.*create pods\/exec/);
    expect(whyNoShell(open, pod, new Map([...rights, ["", true]]))).toBe("");
    expect(whyNoShell(open, pod, new Map([...rights, ["shop", true]]))).toBe("");
  });

  it("knows clusters without shells and pods without a running container", () => {
    expect(whyNoShell({ execEnabled: false }, pod, undefined)).toMatch(/switched off/);
    expect(whyNoShell(open, { ...pod, containers: [container("app", "waiting")] }, undefined)).toMatch(/running/);
  });
});
