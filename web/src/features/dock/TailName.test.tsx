import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import { TailName } from "./TailName.tsx";

it.each([
  ["checkout-58d9f-x7k2p", "checkout-58d9f", "-x7k2p"],
  ["checkout-58d9f-x7k2p (2)", "checkout-58d9f", "-x7k2p (2)"],
  ["toolbox", "toolbox", ""],
  ["toolbox (2)", "toolbox", " (2)"],
])("keeps the end of %s where that tells it from others, and a short name whole", (name, cut, kept) => {
  const { container } = render(<TailName name={name} />);
  expect([...(container.firstElementChild?.children ?? [])].map((part) => part.textContent)).toEqual([cut, kept]);
});
