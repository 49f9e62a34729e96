import type { IDisposable, Terminal } from "@xterm/xterm";

/** Private modes that the serializer leaves out: whether the cursor blinks and shows, and how the mouse is reported. */
const PRIVATE = [12, 25, 1006, 1016];

/**
 * Follows what a program has set and no picture of the screen holds: the scroll region, the cursor's shape, and some
 * modes. `restore` writes it anew.
 */
export class Modes {
  readonly #term: Terminal;
  #set = new Map<number, boolean>();
  #region: [top: number, bottom: number] | null = null;
  #shape = 0;

  constructor(term: Terminal) {
    this.#term = term;
    for (const final of ["h", "l"]) this.#on({ prefix: "?", final }, (params) => this.#mode(params, final === "h"));
    this.#on({ final: "r" }, (params) => this.#scroll(params));
    this.#on({ intermediates: " ", final: "q" }, ([shape]) => {
      this.#shape = shape ?? 0;
    });
    this.#on({ intermediates: "!", final: "p" }, () => this.#reset());
    term.parser.registerEscHandler({ final: "c" }, () => {
      this.#reset();
      return false;
    });
    // A terminal of another size has no region.
    term.onResize(() => {
      this.#region = null;
    });
  }

  restore(): string {
    const modes = [...this.#set].map(([mode, on]) => `\x1b[?${mode}${on ? "h" : "l"}`).join("");
    const shape = this.#shape === 0 ? "" : `\x1b[${this.#shape} q`;
    // To set the region moves the cursor.
    const region = this.#region ? `\x1b7\x1b[${this.#region[0]};${this.#region[1]}r\x1b8` : "";
    return modes + shape + region;
  }

  #on(id: { prefix?: string; intermediates?: string; final: string }, see: (params: number[]) => void): IDisposable {
    return this.#term.parser.registerCsiHandler(id, (params) => {
      see(params.map((param) => (typeof param === "number" ? param : 0)));
      return false;
    });
  }

  #mode(params: number[], on: boolean): void {
    for (const mode of params) if (PRIVATE.includes(mode)) this.#set.set(mode, on);
  }

  #scroll([top = 0, bottom = 0]: number[]): void {
    const { rows } = this.#term;
    const region: [number, number] = [top || 1, bottom === 0 || bottom > rows ? rows : bottom];
    if (region[0] >= region[1]) return;
    this.#region = region[0] === 1 && region[1] === rows ? null : region;
  }

  #reset(): void {
    this.#set = new Map();
    this.#region = null;
    this.#shape = 0;
  }
}
