import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { notice } from "../../lib/notice.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { Chooser } from "./Chooser.tsx";
import { asked, requestShell } from "./request.ts";
import { endAllShells } from "./restore.ts";
import { dock } from "./store.ts";
import { placeOf } from "./target.ts";

const container = (name: string, state: "running" | "waiting" = "running") =>
  ({ name, kind: "container", state, ready: true, target: "" }) as const;
const cluster = { name: "demo", execEnabled: true, requireReason: false };
const pod = { namespace: "shop", name: "web-0", containers: [container("web")], defaultContainer: "web" };
const two = { ...pod, containers: [container("proxy"), container("web"), container("late", "waiting")] };

const targets = () => dock.get().shells.map((shell) => shell.target);

afterEach(() => {
  endAllShells();
  asked.set(null);
});

describe("asking for a shell", () => {
  it("opens at once where there is nothing to choose", () => {
    requestShell({ cluster, pod });
    requestShell({ cluster, pod: two, container: "proxy" });
    expect(targets()).toMatchObject([{ container: "web" }, { container: "proxy" }]);
    expect(asked.get()).toBeNull();
  });

  it("keeps apart what is a debug container and what is to get one", () => {
    requestShell({ cluster, pod, container: "web", debug: "busybox" });
    const dbg = { ...container("debug-1"), kind: "ephemeral", target: "web" } as const;
    requestShell({ cluster, pod: { ...pod, containers: [...pod.containers, dbg] }, container: "debug-1" });
    expect(targets().map(placeOf)).toEqual(["debug · web", "debug · web"]);
    expect(targets()).toMatchObject([
      { container: "web", debug: "busybox" },
      { container: "debug-1", of: "web" },
    ]);
    expect(placeOf({ container: "web" })).toBe("web");
  });

  it("asks for the reason of a debug container too", () => {
    requestShell({ cluster: { ...cluster, requireReason: true }, pod: two, container: "web", debug: "busybox" });
    render(<Chooser />, { wrapper: TipProvider });
    expect(screen.getByRole("dialog", { name: "Debug container" })).toBeTruthy();
    fireEvent.change(screen.getByLabelText("Why are you here?"), { target: { value: "ticket 7" } });
    fireEvent.click(screen.getByRole("button", { name: "Debug container" }));
    expect(targets()).toMatchObject([{ container: "web", debug: "busybox", reason: "ticket 7" }]);
  });

  it("says why where none can be opened", () => {
    requestShell({ cluster, pod: { ...pod, containers: [container("web", "waiting")] } });
    expect(notice.get()?.text).toMatch(/running/);
    requestShell({ cluster: { ...cluster, execEnabled: false }, pod });
    expect(notice.get()?.text).toMatch(/switched off/);
    expect(targets()).toEqual([]);
  });

  it("offers the running containers, the default one chosen", () => {
    asked.set({ cluster, pod: two });
    render(<Chooser />, { wrapper: TipProvider });
    expect(screen.getByRole("dialog", { name: "Open shell" })).toBeTruthy();
    const options = screen.getAllByRole<HTMLInputElement>("radio");
    expect(options.map((option) => [option.value, option.checked])).toEqual([
      ["proxy", false],
      ["web", true],
    ]);
    fireEvent.click(screen.getByRole("button", { name: "Open shell" }));
    expect(targets()).toMatchObject([
      { cluster: "demo", namespace: "shop", pod: "web-0", container: "web", reason: "" },
    ]);
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("says in which cluster", () => {
    asked.set({ cluster, pod: two });
    render(<Chooser />, { wrapper: TipProvider });
    const dialog = screen.getByRole("dialog", { name: "Open shell" });
    const description = document.getElementById(dialog.getAttribute("aria-describedby") ?? "");
    expect(description?.textContent).toBe("demo · shop/web-0");
  });

  it("asks for a reason where the cluster wants one", () => {
    requestShell({ cluster: { ...cluster, requireReason: true }, pod });
    render(<Chooser />, { wrapper: TipProvider });
    const open = screen.getByRole<HTMLButtonElement>("button", { name: "Open shell" });
    expect(open.disabled).toBe(true);
    const why = screen.getByLabelText("Why are you here?");
    expect(document.activeElement).toBe(why);
    // 512 bytes are taken, one more is not: characters may be up to four of them.
    for (const [value, disabled] of [
      ["   ", true],
      ["é".repeat(256), false],
      [`${"é".repeat(256)}x`, true],
      ["🚀".repeat(129), true],
      ["  INC-7  ", false],
    ] as const) {
      fireEvent.change(why, { target: { value } });
      expect(open.disabled, value).toBe(disabled);
    }
    fireEvent.click(open);
    expect(targets()).toMatchObject([{ reason: "INC-7" }]);
  });

  it("says what is wrong with a reason that is too long", () => {
    requestShell({ cluster: { ...cluster, requireReason: true }, pod });
    render(<Chooser />, { wrapper: TipProvider });
    fireEvent.change(screen.getByLabelText("Why are you here?"), { target: { value: "x".repeat(513) } });
    expect(screen.getByRole("alert").textContent).toMatch(/at most 512 bytes/);
  });
});
