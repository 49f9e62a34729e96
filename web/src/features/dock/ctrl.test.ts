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
  type("\x1b[I");
  type("\x1b[<35;10;4M");
  expect(armed()).toBe(true);
  type("c");
  expect(armed()).toBe(false);
  type("c");
  expect(sent()).toBe("\x1b[I\x1b[<35;10;4M\x03c");
});

it.each([
  ["an arrow", "\x1b[D", "\x1b[1;5D"],
  ["Escape", "\x1b", "\x1b"],
  ["a letter of another script", "ж", "ж"],
])("Ctrl of the key row is for one key: %s", (_, key, bytes) => {
  shell.setCtrl(true);
  type(key);
  expect(armed()).toBe(false);
  expect(sent()).toBe(bytes);
});
