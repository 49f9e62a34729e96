import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createElement, type ReactNode, useState } from "react";
import { vi } from "vitest";
import { FakeSocket } from "../../stream/fakes.ts";
import type { TerminalEvents } from "../../term/terminal.ts";

/** Every connection that the page has made, the newest last. */
export const sockets: (FakeSocket & { url: string })[] = [];

export function newestSocket(): FakeSocket {
  const socket = sockets.at(-1);
  if (!socket) throw new Error("no connection");
  return socket;
}

/** A terminal whose screen is the text that was written to it, parsed at once. */
export class FakeTerminal {
  cols = 80;
  rows = 24;
  screen = "";
  notes: string[] = [];
  ended = "";
  incomplete = 0;
  bracketedPaste = false;
  replayed = 0;
  disposed = false;

  constructor(readonly events: TerminalEvents) {}

  show = () => () => {};
  focused = 0;
  focus = () => {
    this.focused++;
  };
  write(bytes: Uint8Array, parsed: () => void): void {
    this.screen += new TextDecoder().decode(bytes);
    parsed();
  }
  note(text: string, parsed?: () => void): boolean {
    this.notes.push(text);
    parsed?.();
    return true;
  }
  replay(): void {
    this.replayed++;
  }
  picture(limit: number) {
    const { cols, rows, screen } = this;
    return screen.length <= limit ? { cols, rows, screen } : null;
  }
  draw({ screen }: { screen: string }): Promise<void> {
    this.screen = screen;
    return Promise.resolve();
  }
  end(text: string): void {
    this.ended = text;
  }
  dispose(): void {
    this.disposed = true;
  }
}

export const terminals: FakeTerminal[] = [];

/** What a terminal's font waits for, or its code. */
export const loading = { until: Promise.resolve() };

export async function fakeTerminal(events: TerminalEvents): Promise<FakeTerminal> {
  await loading.until;
  const terminal = new FakeTerminal(events);
  terminals.push(terminal);
  return terminal;
}

/** Locks as one browser has them for all its windows. */
export class FakeLocks {
  readonly #held = new Map<string, unknown>();

  request(name: string, { signal }: { signal: AbortSignal }, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = () => {
        this.#held.set(name, take);
        void work().then(() => {
          this.#free(name, take);
          resolve();
        });
      };
      const again = () => {
        if (signal.aborted) reject(signal.reason);
        else if (this.#held.has(name)) setTimeout(again, 5);
        else take();
      };
      again();
    });
  }

  /** As another window of the browser. */
  hold(sessionId: string): () => void {
    const name = `periscope.shell.${sessionId}`;
    const window = {};
    this.#held.set(name, window);
    return () => this.#free(name, window);
  }

  #free(name: string, holder: unknown): void {
    if (this.#held.get(name) === holder) this.#held.delete(name);
  }

  holds(sessionId: string): boolean {
    return this.#held.has(`periscope.shell.${sessionId}`);
  }
}

/** Puts fakes in the place of what the browser brings. */
export function fakeBrowser(): FakeLocks {
  sockets.length = 0;
  terminals.length = 0;
  loading.until = Promise.resolve();
  const locks = new FakeLocks();
  vi.stubGlobal(
    "WebSocket",
    class extends FakeSocket {
      constructor(readonly url: string) {
        super();
        sockets.push(this);
      }
    },
  );
  Object.defineProperty(navigator, "locks", { configurable: true, value: locks });
  return locks;
}

/** What a part of the page needs around it that asks the server. */
export function Queries({ children }: { children: ReactNode }) {
  const [client] = useState(() => new QueryClient({ defaultOptions: { queries: { retry: false } } }));
  return createElement(QueryClientProvider, { client }, children);
}
