import { fireEvent, render, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { Combo } from "./Combo.tsx";
import { ErrorBoundary } from "./ErrorBoundary.tsx";
import { Fault } from "./states.tsx";

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
  expect(screen.getByRole("alert").textContent).toMatch(/ada@example.com.*r-1/);
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
