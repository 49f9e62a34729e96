import { expect, test } from "vitest";
import { folderOf } from "./osc7.ts";

test.each([
  ["file://web-0/srv/www", "/srv/www"],
  ["file:///srv/a%20name%0Aof%20two", "/srv/a name\nof two"],
  ["file://web-0/", "/"],
  ["file://web-0", ""],
  ["http://web-0/srv", ""],
  ["/srv", ""],
  ["file:///srv/%zz", ""],
  ["file:///srv/%00", ""],
  [`file:///${"a".repeat(4096)}`, ""],
  [`file:///${"%41".repeat(99_999)}`, ""],
  ["", ""],
])("OSC 7 with %j is the folder %j", (data, want) => {
  expect(folderOf(data)).toBe(want);
});
