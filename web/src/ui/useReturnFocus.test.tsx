import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { Menu, MenuItem } from "./Menu.tsx";
import { Modal } from "./Modal.tsx";
import { TipProvider } from "./Tip.tsx";

/** A page with a menu, a button that goes when it is pressed, and the dialog that both open. */
function Page({ focusAfter }: { focusAfter?: () => void }) {
  const [open, setOpen] = useState(false);
  const [gone, setGone] = useState(false);
  return (
    <TipProvider>
      <Menu label="More" trigger={<button type="button">More</button>}>
        <MenuItem onSelect={() => setOpen(true)}>Ask</MenuItem>
      </Menu>
      {gone ? null : (
        <button
          type="button"
          onClick={() => {
            setOpen(true);
            setTimeout(() => setGone(true));
          }}
        >
          Once
        </button>
      )}
      <main id="page" tabIndex={-1} aria-label="page" />
      {open ? (
        <Modal title="Sure?" onClose={() => setOpen(false)} focusAfter={focusAfter}>
          <button type="button" onClick={() => setOpen(false)}>
            No
          </button>
        </Modal>
      ) : null}
    </TipProvider>
  );
}

async function closed(): Promise<void> {
  fireEvent.click(await screen.findByRole("button", { name: "No" }));
  await vi.waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
}
const focused = (element: HTMLElement) => vi.waitFor(() => expect(document.activeElement).toBe(element));

describe("the focus, after a dialog,", () => {
  it("goes back to the button of the menu that opened it", async () => {
    render(<Page />);
    const button = screen.getByRole("button", { name: "More" });
    fireEvent.keyDown(button, { key: "Enter" });
    const item = await screen.findByRole("menuitem", { name: "Ask" });
    item.focus();
    fireEvent.click(item);
    await closed();
    await focused(button);
  });

  it("goes to the page where what had it is gone", async () => {
    render(<Page />);
    const button = screen.getByRole("button", { name: "Once" });
    button.focus();
    fireEvent.click(button);
    await vi.waitFor(() => expect(button.isConnected).toBe(false));
    await closed();
    await focused(screen.getByRole("main"));
  });

  it("goes to the page where the better place does not take it", async () => {
    render(<Page focusAfter={() => {}} />);
    fireEvent.click(screen.getByRole("button", { name: "Once" }));
    await closed();
    await focused(screen.getByRole("main"));
  });
});
