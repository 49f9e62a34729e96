import { Terminal } from "@xterm/xterm";
import { describe, expect, it } from "vitest";
import { bufferText } from "./bufferText.ts";

/** What a terminal of 10 columns and 4 rows holds after `output`. */
async function held(output: string, limit?: number): Promise<string> {
  const term = new Terminal({ cols: 10, rows: 4, scrollback: 100, allowProposedApi: true });
  await new Promise<void>((done) => term.write(output, done));
  const text = bufferText(term.buffer.active, limit);
  term.dispose();
  return text;
}

describe("a terminal's text", () => {
  it("is the whole scrollback, without the blanks at ends", async () => {
    const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`);
    expect(await held(`${lines.join("  \r\n")}\r\n\r\n`)).toBe(`${lines.join("\n")}\n`);
    expect(await held("")).toBe("");
  });

  it("joins what was wrapped, and keeps blanks inside", async () => {
    expect(await held("abcdefghijklm\r\nx")).toBe("abcdefghijklm\nx\n");
    expect(await held("abcdefghi  klm\r\n")).toBe("abcdefghi  klm\n");
    expect(await held("a\r\n\r\nb")).toBe("a\n\nb\n");
  });

  it("knows that a wide character wraps before it, not after a blank", async () => {
    expect(await held("123456789\u65e5\u672c")).toBe("123456789\u65e5\u672c\n");
  });

  it("drops the oldest lines where it is too long, and says so", async () => {
    const lines = Array.from({ length: 30 }, (_, i) => `${1000 + i}`);
    expect(await held(lines.join("\r\n"), 10)).toBe("[older lines are left out]\n1028\n1029\n");
  });
});
