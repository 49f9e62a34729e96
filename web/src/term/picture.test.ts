import { Terminal } from "@xterm/xterm";
import { describe, expect, it } from "vitest";
import { Pictures } from "./picture.ts";

const write = (term: Terminal, text: string) => new Promise<void>((done) => term.write(text, done));
const draw = (into: Pictures, picture: Parameters<Pictures["draw"]>[0]) =>
  new Promise<void>((drawn) => into.draw(picture, drawn));

function terminal(scrollback = 1_000) {
  const term = new Terminal({ cols: 40, rows: 6, scrollback, allowProposedApi: true });
  return { term, pictures: new Pictures(term) };
}

const ALL = 1_000_000;

/** A second terminal, drawn from a picture of the first one. */
async function again(first: ReturnType<typeof terminal>): Promise<ReturnType<typeof terminal>> {
  const picture = first.pictures.take(ALL);
  if (!picture) throw new Error("no picture");
  const second = terminal();
  await draw(second.pictures, picture);
  return second;
}

function lines({ term }: { term: Terminal }): string[] {
  const { active } = term.buffer;
  return Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? "");
}

describe("a picture of a terminal", () => {
  it("holds what is above the screen, the screen and the cursor", async () => {
    const first = terminal();
    await write(first.term, `${Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\r\n")}\x1b[3;5H`);
    const second = await again(first);
    expect(lines(second)).toEqual(lines(first));
    expect([second.term.buffer.active.cursorX, second.term.buffer.active.cursorY]).toEqual([4, 2]);
  });

  it("holds a full-screen program's screen, the one beneath it, and what the program has set", async () => {
    const first = terminal();
    await write(
      first.term,
      "$ vim\r\n\x1b[?1049h\x1b[?1h\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?25l\x1b[4 q\x1b[2;5r\x1b[2;1Htext",
    );
    const second = await again(first);
    expect(second.term.buffer.active.type).toBe("alternate");
    expect(second.term.modes).toMatchObject({
      applicationCursorKeysMode: true,
      bracketedPasteMode: true,
      mouseTrackingMode: "drag",
    });
    expect(second.pictures.take(ALL)).toEqual(first.pictures.take(ALL));
    // Where the region is, one sees by scrolling: the line outside of it stays.
    for (const { term } of [first, second]) await write(term, "\x1b[6;1Hstatus\x1b[5;1H\n\n\nlow");
    expect(lines(second)).toEqual(lines(first));
    await write(second.term, "\x1b[?1049l");
    expect(lines(second)[0]).toBe("$ vim");
  });

  it("forgets what was set when it is reset or has another size", async () => {
    const first = terminal();
    await write(first.term, "\x1b[?25l\x1b[4 q\x1b[2;5r");
    first.term.resize(50, 8);
    expect(first.pictures.take(ALL)?.screen).not.toContain("r\x1b8");
    await write(first.term, "\x1bc");
    expect(first.pictures.take(ALL)?.screen).not.toMatch(/\?25l| q/);
  });

  it("leaves out the oldest lines where it is too large, and is none where not even the screen fits", async () => {
    const first = terminal(5_000);
    await write(first.term, Array.from({ length: 4_000 }, (_, i) => `line ${i}`).join("\r\n"));
    const small = first.pictures.take(10_000);
    expect(small?.screen.length).toBeLessThanOrEqual(10_000);
    expect(small?.screen.length).toBeGreaterThan(5_000);
    const second = terminal();
    if (small) await draw(second.pictures, small);
    expect(lines(second).slice(-6)).toEqual(lines(first).slice(-6));
    expect(first.pictures.take(20)).toBeNull();
  });
});
