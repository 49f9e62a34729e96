import { fireEvent, render, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { FilterField } from "./FilterField.tsx";

/** A field whose value comes back when the test says so, as from the address. */
function open(value: string) {
  const onChange = vi.fn();
  const field = (now: string) => <FilterField label="Filter" placeholder="" value={now} onChange={onChange} />;
  const { rerender } = render(field(value));
  const input = screen.getByRole<HTMLInputElement>("textbox", { name: "Filter" });
  const type = (text: string) => fireEvent.change(input, { target: { value: text } });
  return { input, type, onChange, give: (now: string) => rerender(field(now)) };
}

describe("the filter", () => {
  it("shows what is typed before it comes back, and leaves the cursor where it is", () => {
    const { input, type, onChange, give } = open("web");
    type("weXb");
    expect(input.value).toBe("weXb");
    input.setSelectionRange(3, 3);
    give("weXb");
    expect([input.value, input.selectionStart]).toEqual(["weXb", 3]);
    expect(onChange.mock.calls).toEqual([["weXb"]]);
  });

  it("is not put back by what comes late", () => {
    const { input, type, give } = open("");
    type("a");
    type("ab");
    give("a");
    expect(input.value).toBe("ab");
    give("ab");
    expect(input.value).toBe("ab");
  });

  it("takes over what comes from elsewhere", () => {
    const { input, type, give } = open("web");
    give("db");
    expect(input.value).toBe("db");
    type("dbx");
    give("dbx");
    give("db");
    expect(input.value).toBe("db");
    give("");
    expect(input.value).toBe("");
  });

  it("takes over, once it is left, what it had typed itself before", () => {
    const { input, type, give } = open("");
    // Both come back as one, which is no change.
    type("a");
    type("");
    fireEvent.blur(input);
    give("a");
    expect(input.value).toBe("a");
  });

  it("empties by its button and by Escape", () => {
    const { input, type, onChange } = open("");
    type("web");
    fireEvent.click(screen.getByRole("button", { name: "Clear the filter" }));
    expect(input.value).toBe("");
    type("db");
    fireEvent.keyDown(input, { key: "Escape" });
    expect(input.value).toBe("");
    expect(onChange.mock.calls).toEqual([["web"], [""], ["db"], [""]]);
  });

  it("leaves alone what is being composed", () => {
    const { input, type, onChange, give } = open("web");
    input.focus();
    fireEvent.compositionStart(input);
    type("webか");
    give("db");
    expect(input.value).toBe("webか");
    for (const key of ["Enter", "Escape"]) fireEvent.keyDown(input, { key, isComposing: true });
    expect([input.value, document.activeElement]).toEqual(["webか", input]);
    fireEvent.compositionEnd(input);
    // Safari's order: the key that ends it comes after its end.
    for (const key of ["Enter", "Escape"]) fireEvent.keyDown(input, { key, keyCode: 229 });
    expect([input.value, document.activeElement]).toEqual(["webか", input]);
    type("web価");
    expect(onChange.mock.calls).toEqual([["webか"], ["web価"]]);
  });
});
