import { describe, expect, it } from "vitest";
import { asOneLine, LARGE_PASTE, pasteOf, pasteText, previewOf } from "./paste.ts";

const risks = (text: string, bracketed = false) => pasteOf(text, bracketed).risks;

describe("a paste", () => {
  it("of a few words asks nothing", () => {
    expect(risks("kubectl get pods -A")).toEqual([]);
    expect(risks("\tnaïve 日本語 🚀👩‍💻")).toEqual([]);
  });

  it.each(["ls\nrm x\n", "ls\n", "ls\r", "ls\r\npwd"])("with a line end would run: %j", (text) => {
    expect(risks(text)).toEqual(["runs"]);
  });

  it("runs nothing in a program that takes it as marked, but may still be large or hide something", () => {
    expect(risks("ls\nrm x\n", true)).toEqual([]);
    expect(risks("x".repeat(LARGE_PASTE + 1), true)).toEqual(["large"]);
    expect(risks("ls\u001b[201~\nrm x\n", true)).toEqual(["invisible"]);
  });

  it("is measured in bytes, not characters", () => {
    expect(risks("é".repeat(LARGE_PASTE / 2))).toEqual([]);
    expect(risks("é".repeat(LARGE_PASTE / 2 + 1))).toEqual(["large"]);
  });

  it.each(["\u001b]0;x\u0007", "a\u0003b", "a\u007f", "a\u009b1m", "\u0000", "safe\u202egpj.exe", "a\u2067b"])(
    "with what is not seen: %j",
    (text) => {
      expect(risks(text)).toEqual(["invisible"]);
    },
  );

  it("counts what it warns of", () => {
    expect(pasteOf("a\n\n b\u001b\u0007\n", false)).toMatchObject({ lines: 2, bytes: 8, invisible: 2 });
  });
});

describe("a paste as one line", () => {
  it.each([
    ["ls\n", "ls"],
    ["ls\r\npwd\r\n", "ls pwd"],
    ["  a\n\n\n  b  \n", "a b"],
    ["docker run \\\n  -it \\\n  alpine\n", "docker run -it alpine"],
    ["echo two \\\\\nnext", "echo two \\\\ next"],
    ["\n\n", ""],
  ])("%j", (text, line) => {
    expect(asOneLine(text)).toBe(line);
  });

  it("has no line end, whatever came", () => {
    expect(asOneLine("a\rb\n\rc\r\r\nd")).toBe("a b c d");
  });

  it("leaves out what is not seen where that is wished", () => {
    const paste = pasteOf("ls\u001b[31m\nrm\u0003 x\n", false);
    const wish = { oneLine: true, leaveOutInvisible: true };
    expect(pasteText(paste, wish)).toBe("ls[31m rm x");
    expect(pasteText(paste, { ...wish, oneLine: false })).toBe("ls[31m\nrm x\n");
    expect(pasteText(paste, { oneLine: false, leaveOutInvisible: false })).toBe(paste.text);
  });
});

describe("the preview of a paste", () => {
  const of = (text: string) => {
    const { shown, more } = previewOf(text);
    return { shown: shown.map((pieces) => pieces.map((piece) => piece.text).join("")), more };
  };

  it("shows the first lines and how many more there are", () => {
    const { shown, more } = of("x\n".repeat(30));
    expect(shown).toHaveLength(8);
    expect(more).toBe(22);
    expect(of("one")).toEqual({ shown: ["one"], more: 0 });
  });

  it("hides nothing, sets apart what would be hidden, and is bounded", () => {
    expect(of("a\u001b[31mb\u007f\u009bc\u202ed").shown).toEqual(["a^[[31mb^?<U+009B>c<U+202E>d"]);
    expect(previewOf("a\u0003b").shown).toEqual([
      [
        { text: "a", stands: false },
        { text: "^C", stands: true },
        { text: "b", stands: false },
      ],
    ]);
    expect(of("y".repeat(100_000)).shown[0]).toHaveLength(161);
  });
});
