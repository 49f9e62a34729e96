import { fireEvent, render, renderHook, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { Combo } from "./Combo.tsx";
import { ErrorBoundary } from "./ErrorBoundary.tsx";
import { Menu, MenuItem } from "./Menu.tsx";
import { Modal } from "./Modal.tsx";
import { Fault } from "./states.tsx";
import { TipProvider } from "./Tip.tsx";
import { useRowKeys } from "./useRowKeys.ts";

it("keeps a failure where it happened, and lets one try again", () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  let broken = true;
  const Part = () => {
    if (broken) throw new Error("no such field");
    return <p>all is well</p>;
  };
  render(
    <ErrorBoundary what="this page">
      <Part />
    </ErrorBoundary>,
  );
  expect(screen.getByRole("alert").textContent).toMatch(/could not show this page.*no such field/);
  broken = false;
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(screen.getByText("all is well")).toBeTruthy();
});

it("says who one is where something is forbidden, and the request id always", () => {
  const fault = {
    kind: "forbidden",
    title: "No",
    message: "pods is forbidden",
    next: "Ask.",
    requestId: "r-1",
  } as const;
  render(<Fault fault={fault} who="ada@example.com" />);
  expect(screen.getByRole("alert").textContent).toMatch(/ada@example.com.*Request id r-1/);
  expect(screen.getByRole("button", { name: "Copy request id" })).toBeTruthy();
});

it("chooses by typing and by keys, and takes a name that is not listed where the list may be short", () => {
  const onChange = vi.fn();
  render(
    <Combo label="Namespace" value="" emptyName="All" options={["default", "shop"]} onChange={onChange} freeText />,
  );
  const choose = (typed: string, ...keys: string[]) => {
    fireEvent.click(screen.getByRole("button", { name: "Namespace: All" }));
    const field = screen.getByRole("combobox");
    fireEvent.change(field, { target: { value: typed } });
    for (const key of [...keys, "Enter"]) fireEvent.keyDown(field, { key });
  };
  Element.prototype.scrollIntoView = () => {};
  choose("sho");
  choose("", "ArrowDown");
  choose("hidden-ns");
  expect(onChange.mock.calls).toEqual([["shop"], ["default"], ["hidden-ns"]]);
});

it.each([{ isComposing: true }, { keyCode: 229 }])("takes no key that only composes a letter: %o", (composing) => {
  const [onChange, onClose] = [vi.fn(), vi.fn()];
  render(<Combo label="Namespace" value="" emptyName="All" options={["shop"]} onChange={onChange} />);
  fireEvent.click(screen.getByRole("button", { name: "Namespace: All" }));
  for (const key of ["Enter", "Escape"]) fireEvent.keyDown(screen.getByRole("combobox"), { key, ...composing });
  fireEvent.keyDown(screen.getByRole("combobox"), { key: "Escape" });
  expect(screen.queryByRole("combobox")).toBeNull();
  expect(onChange).not.toHaveBeenCalled();
  const dialog = (
    <Modal title="Name it" onClose={onClose}>
      <input />
    </Modal>
  );
  render(dialog, { wrapper: TipProvider });
  fireEvent.keyDown(screen.getByRole("textbox"), { key: "Escape", ...composing });
  expect(onClose).not.toHaveBeenCalled();
  fireEvent.keyDown(screen.getByRole("textbox"), { key: "Escape" });
  expect(onClose).toHaveBeenCalledOnce();
});

describe("the keyboard, after a menu,", () => {
  async function closed(act: (menu: HTMLElement) => void): Promise<string | null | undefined> {
    fireEvent.keyDown(screen.getByRole("button"), { key: "Enter" });
    const menu = await screen.findByRole("menu");
    const over = vi.fn();
    menu.addEventListener("focusScope.autoFocusOnUnmount", over);
    act(menu);
    await vi.waitFor(() => expect(over).toHaveBeenCalledOnce());
    return document.activeElement?.textContent;
  }
  const choose = (name: string) => fireEvent.click(screen.getByRole("menuitem", { name }));

  beforeEach(() => {
    render(
      <>
        <Menu label="Menu" trigger={<button type="button">Menu</button>}>
          <MenuItem onSelect={() => {}}>Nothing</MenuItem>
          <MenuItem onSelect={() => queueMicrotask(() => screen.getByRole("textbox").focus())}>Open</MenuItem>
        </Menu>
        <textarea defaultValue="terminal" />
      </>,
    );
  });

  it("stays where a choice has put it, and else goes back to its button", async () => {
    expect(await closed(() => choose("Nothing"))).toBe("Menu");
    expect(await closed(() => choose("Open"))).toBe("terminal");
    expect(await closed((menu) => fireEvent.keyDown(menu, { key: "Escape" }))).toBe("Menu");
  });

  it("stays where somebody has clicked, that time", async () => {
    const click = () => {
      fireEvent.pointerDown(screen.getByRole("textbox"));
      screen.getByRole("textbox").focus();
    };
    expect(await closed(click)).toBe("terminal");
    expect(await closed((menu) => fireEvent.keyDown(menu, { key: "Escape" }))).toBe("Menu");
  });
});

it("begins with its cursor on the row that it is told", () => {
  const reveal = vi.fn();
  const ids = ["a", "b", "c"];
  const { result } = renderHook(() => useRowKeys({ ids, initial: "b", reveal, open: () => {}, actions: {} }));
  expect(result.current).toBe(1);
  expect(reveal).not.toHaveBeenCalled();
  fireEvent.keyDown(window, { key: "j" });
  expect([result.current, reveal.mock.calls]).toEqual([2, [[2]]]);
  expect(renderHook(() => useRowKeys({ ids, reveal, open: () => {}, actions: {} })).result.current).toBe(-1);
});
