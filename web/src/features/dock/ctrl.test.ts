import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { TerminalEvents } from "../../term/terminal.ts";
import { fakeBrowser, fakeTerminal, newestSocket, sockets, terminals } from "./fakes.ts";
import { endAllShells } from "./restore.ts";
import type { Shell } from "./shell.ts";
import { activeShell, dock, openShell } from "./store.ts";

vi.mock("../../term/terminal.ts", () => ({ createTerminal: (events: TerminalEvents) => fakeTerminal(events) }));

let shell: Shell;

beforeEach(async () => {
  fakeBrowser();
  openShell({ cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "" });
  shell = activeShell(dock.get()) as Shell;
  shell.mount(document.createElement("div"));
  // A busy machine takes its time.
  await vi.waitFor(() => expect(sockets).toHaveLength(1), { timeout: 20_000 });
  newestSocket().onopen?.();
  newestSocket().say({ type: "hello", sessionId: "s1", container: "app", offset: 0, stdinOffset: 0, resumeSeconds: 0 });
});
afterEach(() => {
  endAllShells();
  vi.unstubAllGlobals();
});

const type = (text: string) => terminals[0]?.events.input(new TextEncoder().encode(text));
const sent = () => Buffer.concat(newestSocket().stdin).toString();
const armed = () => shell.state.get().ctrlArmed;

it("Ctrl of the key row waits for a key: what the terminal reports by itself is none", () => {
  shell.setCtrl(true);
  const reports = [
    "\x1b[I",
    "\x1b[O",
    "\x1b[<35;10;4M",
    "\x1b[M !!",
    "\x1b[?1;2c",
    "\x1b[>0;276;0c",
    "\x1b[0n",
    "\x1b[4;12R",
  ];
  reports.push("\x1b]11;rgb:00/00/00\x1b\\", "\x1bP1$r0m\x1b\\");
  for (const report of reports) type(report);
  expect(armed()).toBe(true);
  type("c");
  expect(armed()).toBe(false);
  type("c");
  expect(sent()).toBe(`${reports.join("")}\x03c`);
});

it.each([
  ["an arrow", "\x1b[D", "\x1b[1;5D"],
  ["Home", "\x1b[H", "\x1b[1;5H"],
  ["paging", "\x1b[5~", "\x1b[5;5~"],
  ["Escape", "\x1b", "\x1b"],
  ["Delete", "\x1b[3~", "\x1b[3~"],
  ["F1", "\x1bOP", "\x1bOP"],
  ["F5", "\x1b[15~", "\x1b[15~"],
  ["Shift+Tab", "\x1b[Z", "\x1b[Z"],
  ["Alt with a letter", "\x1bP", "\x1bP"],
  ["text that is pasted", "\x1b[200~ls\x1b[201~", "\x1b[200~ls\x1b[201~"],
  ["a letter of another script", "ж", "ж"],
])("Ctrl of the key row is for one key: %s", (_, key, bytes) => {
  shell.setCtrl(true);
  type(key);
  expect(armed()).toBe(false);
  expect(sent()).toBe(bytes);
});
