import { expect, it } from "vitest";
import { fileName } from "./save.ts";

const now = new Date("2026-03-01T08:09:10.999Z");

it("names a file after where its text is from, and when", () => {
  const from = { cluster: "demo", namespace: "shop", pod: "web-7f9c", container: "app" };
  expect(fileName(from, now)).toBe("demo-shop-web-7f9c-app-20260301T080910Z.txt");
});

it("takes no letter that means something to a file system, and no name without end", () => {
  const from = { cluster: "../../a b:c", namespace: "n\n", pod: "p".repeat(999), container: "" };
  const name = fileName(from, now);
  expect(name).toMatch(/^a_b_c-n_-p+-20260301T080910Z\.txt$/);
  expect(name.length).toBeLessThan(230);
});
