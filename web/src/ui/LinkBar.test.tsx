import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import type { AgentLink } from "../lib/link.ts";
import { LinkBar } from "./LinkBar.tsx";

const link = (state: AgentLink["state"]): AgentLink => ({
  state,
  since: new Date(Date.now() - 4_000).toISOString(),
  agentVersion: "",
});

function shown(of: AgentLink | null, something: boolean): string {
  const { container, unmount } = render(<LinkBar cluster="edge" link={of} shown={something} />);
  const text = container.textContent ?? "";
  unmount();
  return text;
}

it("says nothing where all is well, or where the page itself says it", () => {
  expect(shown(null, true)).toBe("");
  expect(shown(link("connected"), true)).toBe("");
  expect(shown(link("away"), false)).toBe("");
});

it("says what goes on, whether what is shown is old, and how long it has been so", () => {
  expect(shown(link("reconnecting"), true)).toMatch(
    /^edge is reconnecting\..*What is shown here is from before\. *4s$/,
  );
  expect(shown(link("reconnecting"), false)).not.toContain("from before");
  expect(shown(link("away"), true)).toMatch(/^edge is away\..*comes back by itself.*from before/);
});

it.each([
  ["reconnecting", /text-attention/],
  ["away", /text-broken/],
] as const)("is %s in the colour of the list of clusters", (state, colour) => {
  const { container } = render(<LinkBar cluster="edge" link={link(state)} shown />);
  expect(container.firstElementChild?.className).toMatch(colour);
});

it("is read aloud once: what ticks is outside", () => {
  render(<LinkBar cluster="edge" link={link("away")} shown />);
  expect(screen.getByRole("status").querySelector("time")).toBeNull();
});
