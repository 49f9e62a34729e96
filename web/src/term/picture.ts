import { SerializeAddon } from "@xterm/addon-serialize";
import type { Terminal } from "@xterm/xterm";
import { Modes } from "./modes.ts";

/** A terminal's screen and what is above it, as text that draws it again. */
export interface Picture {
  cols: number;
  rows: number;
  screen: string;
}

/** Lines above the screen at first; fewer are tried where they do not fit. */
const MOST_LINES = 5_000;

/** Takes pictures of a terminal, and draws them into another one. */
export class Pictures {
  readonly #term: Terminal;
  readonly #modes: Modes;
  readonly #serializer = new SerializeAddon();

  constructor(term: Terminal) {
    this.#term = term;
    this.#modes = new Modes(term);
    term.loadAddon(this.#serializer);
  }

  /** Of at most `limit` characters; what is furthest above the screen is left out first. Null: not even the screen fits. */
  take(limit: number): Picture | null {
    const { cols, rows } = this.#term;
    const modes = this.#modes.restore();
    let scrollback = MOST_LINES;
    for (;;) {
      const screen = this.#serializer.serialize({ scrollback }) + modes;
      if (screen.length <= limit) return { cols, rows, screen };
      if (scrollback === 0) return null;
      // By proportion, with something to spare, since lines differ; never back to the same number.
      const lines = Math.min(scrollback, this.#term.buffer.normal.baseY);
      scrollback = Math.min(lines - 1, Math.floor(((lines + rows) * limit * 0.8) / screen.length) - rows);
      if (scrollback < 0) scrollback = 0;
    }
  }

  /** Draws into a terminal that shows nothing yet. */
  draw({ cols, rows, screen }: Picture, drawn: () => void): void {
    this.#term.resize(cols, rows);
    this.#term.write(screen, drawn);
  }
}
