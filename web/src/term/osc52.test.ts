import { describe, expect, it } from "vitest";
import { CLIPBOARD_LIMIT, clipboardText } from "./osc52.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("OSC 52", () => {
  it("carries text, whatever the selection is called", () => {
    expect(clipboardText(`c;${base64("naïve 🚀\n")}`)).toBe("naïve 🚀\n");
    expect(clipboardText(`;${base64("x")}`)).toBe("x");
    expect(clipboardText(`pc0;${base64("x")}`)).toBe("x");
  });

  it.each(["c;?", ";?", "c;", "c", "", "c;***", `evil;${"eA=="}`])("is nothing to write: %j", (data) => {
    expect(clipboardText(data)).toBeNull();
  });

  it("is bounded", () => {
    expect(clipboardText(`c;${base64("x".repeat(CLIPBOARD_LIMIT))}`)).toHaveLength(CLIPBOARD_LIMIT);
    expect(clipboardText(`c;${base64("x".repeat(CLIPBOARD_LIMIT + 1))}`)).toBeNull();
    expect(clipboardText(`c;${"A".repeat(9_000_000)}`)).toBeNull();
  });
});
