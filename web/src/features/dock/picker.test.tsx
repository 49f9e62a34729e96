import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { TipProvider } from "../../ui/Tip.tsx";
import { MinimisedBar } from "./MinimisedBar.tsx";
import { titleMark, watchNews } from "./news.ts";
import { endAllShells } from "./restore.ts";
import { activeShell, dock, openShell, renameShell, renewShell, setLayout, splitWith } from "./store.ts";

function open(pod: string, cluster = "demo") {
  openShell({ cluster, namespace: "shop", pod, container: "app", reason: "" });
  const shell = activeShell(dock.get());
  if (!shell) throw new Error("no shell");
  return shell;
}

afterEach(() => act(endAllShells));

const options = () => screen.queryAllByRole("option");
const names = () => options().map((option) => option.getAttribute("aria-label")?.split(",")[0]);

function openPicker(): HTMLElement {
  fireEvent.click(screen.getByRole("button", { name: "All shells" }));
  return screen.getByRole("combobox");
}

describe("the bar and its picker", () => {
  it("work with a single shell", () => {
    const shell = open("web-0");
    act(() => setLayout("minimised"));
    render(<MinimisedBar />, { wrapper: TipProvider });
    expect(screen.getByText("1 shell")).toBeTruthy();
    const field = openPicker();
    expect(options()).toHaveLength(1);
    fireEvent.keyDown(field, { key: "ArrowUp" });
    fireEvent.keyDown(field, { key: "Enter", isComposing: true });
    expect(dock.get().layout).toBe("minimised");
    fireEvent.keyDown(field, { key: "Enter" });
    expect(dock.get()).toMatchObject({ layout: "panel", activeId: shell.id, picking: "" });
  });

  it("work with thirty: found by any word of where they are, chosen by keys", () => {
    const shells = Array.from({ length: 30 }, (_, i) => open(`web-${i}`, i === 17 ? "prod-eu" : "demo"));
    act(() => setLayout("minimised"));
    render(<MinimisedBar />, { wrapper: TipProvider });
    expect(screen.getByText("30 shells")).toBeTruthy();
    const field = openPicker();
    expect(options()).toHaveLength(30);
    // It opens at the active one.
    expect(field.getAttribute("aria-activedescendant")).toBe(options()[29]?.id);
    fireEvent.change(field, { target: { value: "prod web" } });
    expect(names()).toEqual(["web-17"]);
    fireEvent.change(field, { target: { value: "nothing" } });
    expect(options()).toHaveLength(0);
    fireEvent.keyDown(field, { key: "Enter" });
    expect(dock.get().layout).toBe("minimised");
    fireEvent.change(field, { target: { value: "" } });
    fireEvent.keyDown(field, { key: "PageDown" });
    fireEvent.keyDown(field, { key: "ArrowDown" });
    fireEvent.keyDown(field, { key: "Enter" });
    expect(dock.get().activeId).toBe(shells[7]?.id);
  });

  it("tell what is new in each, and in the title", () => {
    const [first, second] = [open("web-0"), open("web-1")];
    act(() => setLayout("minimised"));
    const stop = watchNews();
    render(<MinimisedBar />, { wrapper: TipProvider });
    act(() => first.state.update((now) => ({ ...now, unread: true })));
    expect(document.title).toMatch(/^\(1\) /);
    act(() => second.state.update((now) => ({ ...now, unread: true, rang: true })));
    expect(document.title).toMatch(/^● \(2\) /);
    openPicker();
    expect(options().map((option) => option.getAttribute("aria-label"))).toEqual([
      "web-0, demo, shop, app, connecting, new output",
      "web-1, demo, shop, app, connecting, new output, bell",
    ]);
    const bar = within(screen.getByTitle("Restore (Ctrl+`)"));
    expect(bar.getByText("rang").parentElement?.textContent).toBe("1 rang");
    expect(bar.getByText("with new output").parentElement?.textContent).toBe("1 with new output");
    act(endAllShells);
    expect(document.title).not.toMatch(/^[●(]/);
    stop();
  });
});

describe("a shell in the dock", () => {
  it("keeps its name and its place when it is renewed, in a split too", () => {
    const [left, right] = [open("web-0"), open("web-0")];
    expect(right.state.get().number).toBe(2);
    act(() => splitWith(left.id));
    renameShell(left, "  the sick\none ");
    act(() => renewShell(left));
    const { shells, panes, activeId } = dock.get();
    expect(shells[0]?.state.get()).toMatchObject({ name: "the sick one", number: 1 });
    expect(panes).toEqual([right.id, shells[0]?.id]);
    expect(activeId).toBe(shells[0]?.id);
  });

  it("leaves no split behind when all are gone", () => {
    const [left] = [open("web-0"), open("web-1")];
    act(() => splitWith(left.id));
    expect(dock.get().panes).not.toBeNull();
    endAllShells();
    open("web-2");
    expect(dock.get()).toMatchObject({ panes: null, shells: [{ target: { pod: "web-2" } }] });
  });
});

it("marks the title with a dot for a bell and a count for news", () => {
  expect(titleMark({ unread: 0, rang: 0 })).toBe("");
  expect(titleMark({ unread: 3, rang: 0 })).toBe("(3) ");
  expect(titleMark({ unread: 3, rang: 1 })).toBe("● (3) ");
});
