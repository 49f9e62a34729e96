import { Terminal } from "@xterm/xterm";
import { describe, expect, it } from "vitest";
import { Boundary } from "./boundary.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function incompleteAfter(...chunks: (string | number[])[]): number {
  const boundary = new Boundary();
  for (const chunk of chunks) boundary.push(typeof chunk === "string" ? encode(chunk) : Uint8Array.from(chunk));
  return boundary.incomplete;
}

describe("a boundary", () => {
  it.each([
    ["plain text", 0],
    ["\x1b[31mred\x1b[0m", 0],
    ["red\x1b", 1],
    ["red\x1b[", 2],
    ["red\x1b[38;5;1", 8],
    ["red\x1b[38;5;1m", 0],
    ["\x1b]0;title", 9],
    ["\x1b]0;title\x07", 0],
    ["\x1b]0;title\x1b", 1],
    ["\x1b]0;title\x1b\\", 0],
    ["\x1bPq#0;text\x07more", 15],
    ["\x1bPq\x1b\\", 0],
    ["\x1b(", 2],
    ["\x1b(B", 0],
    ["\x1b[31\x18plain", 0],
    ["\x1b7\x1b8\x1bM", 0],
    ["\x1b[1\r2H", 0],
    ["\x1b[1\r2", 5],
  ])("knows what of %j is not complete", (text, incomplete) => {
    expect(incompleteAfter(text)).toBe(incomplete);
    expect(incompleteAfter(...text)).toBe(incomplete);
  });

  it("knows characters that are not complete", () => {
    const [a, b, c, d] = encode("🚀") as unknown as [number, number, number, number];
    expect(incompleteAfter([0x61, a])).toBe(1);
    expect(incompleteAfter([a], [b])).toBe(2);
    expect(incompleteAfter([a], [b, c])).toBe(3);
    expect(incompleteAfter([a], [b], [c], [d])).toBe(0);
    expect(incompleteAfter([0xe6, 0x97])).toBe(2);
    expect(incompleteAfter("日本")).toBe(0);
    expect(incompleteAfter("\x1b[0m", [0xe6])).toBe(1);
    expect(incompleteAfter([0xe6], "\x1b[0m")).toBe(0);
    expect(incompleteAfter([0x80, 0x80, 0x80, 0x80])).toBe(0);
  });

  it("begins anew", () => {
    const boundary = new Boundary();
    boundary.push(encode("\x1b]0;"));
    boundary.reset();
    expect(boundary.incomplete).toBe(0);
  });
});

/** What the screen says, and where the cursor is. */
function shown(term: Terminal): string {
  const { active } = term.buffer;
  const lines = Array.from({ length: term.rows }, (_, row) => active.getLine(row)?.translateToString(true) ?? "");
  return `${lines.join("\n")}\n${active.cursorX},${active.cursorY}`;
}

const write = (term: Terminal, bytes: Uint8Array) => new Promise<void>((done) => term.write(bytes, done));

it("is where a second terminal can go on from what a first one shows, wherever it is cut", async () => {
  const output = encode(
    "plain \x1b[1;31mbold red\x1b[0m 日本🚀\r\n\x1b]0;a title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\x1b[5;3Hmoved\x1b[2K\x1bPqx\x1b\\ \x1b(0q\x1b(B end",
  );
  const whole = new Terminal({ cols: 40, rows: 8, allowProposedApi: true });
  await write(whole, output);
  for (let cut = 0; cut <= output.length; cut++) {
    const boundary = new Boundary();
    boundary.push(output.subarray(0, cut));
    const from = cut - boundary.incomplete;
    const again = new Terminal({ cols: 40, rows: 8, allowProposedApi: true });
    // What was before the boundary, by a terminal that saw nothing of what is behind it.
    await write(again, output.subarray(0, from));
    expect(shown(again)).toBe(await atCut(output, cut));
    await write(again, output.subarray(from));
    expect(shown(again)).toBe(shown(whole));
  }
});

/** What a terminal shows that was given everything before the cut, complete or not. */
async function atCut(output: Uint8Array, cut: number): Promise<string> {
  const term = new Terminal({ cols: 40, rows: 8, allowProposedApi: true });
  await write(term, output.subarray(0, cut));
  return shown(term);
}
