import { Store } from "../../lib/store.ts";

/** What the owner of a shell said about its programs setting the clipboard. */
export type ClipboardConsent = "ask" | "always" | "never";

export interface ClipboardState {
  consent: ClipboardConsent;
  /** A program asks, or the browser refused what was allowed; null: nothing waits for an answer. */
  asked: { text: string; bytes: number; refused: boolean } | null;
}

/** What the clipboard gate needs of the page. */
export interface ClipboardHost {
  /** False where the browser refused. */
  write(text: string): Promise<boolean>;
  written(bytes: number): void;
  /** No program may ever, by the reader's own setting. */
  forbidden(): boolean;
}

/** After an answer, for so long: a second click that was meant for the same question is not taken for the next one. */
export const NEXT_QUESTION_MS = 1_000;

/**
 * Stands between the programs of one shell and the clipboard: nothing is written before the shell's owner said so, and
 * then what was shown. What is asked meanwhile is asked about after that, the newest alone; while one is being written,
 * only the newest waits.
 */
export class ClipboardGate {
  readonly state = new Store<ClipboardState>({ consent: "ask", asked: null });
  readonly #host: ClipboardHost;
  /** Asked after what is shown. */
  #later: string | null = null;
  /** What was answered to last. */
  #answered: string | null = null;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #writing = false;
  #next: string | null = null;

  constructor(host: ClipboardHost, consent: ClipboardConsent = "ask") {
    this.#host = host;
    this.state.update((now) => ({ ...now, consent }));
  }

  /** A program asks to set the clipboard to `text`. */
  ask(text: string): void {
    const { consent } = this.state.get();
    if (this.#host.forbidden() || consent === "never") return;
    if (consent === "always") {
      this.#later = null;
      this.#write(text);
    } else if (this.#pause === undefined) this.#show(text, false);
    else this.#later = text === this.#answered ? null : text;
  }

  allowOnce(): void {
    this.#answer();
  }

  always(): void {
    this.state.update((now) => ({ ...now, consent: "always" }));
    this.#answer();
  }

  never(): void {
    this.#later = null;
    this.#next = null;
    this.state.set({ consent: "never", asked: null });
  }

  /** Takes "always" and "never" back. */
  askAgain(): void {
    this.state.update((now) => ({ ...now, consent: "ask" }));
  }

  #answer(): void {
    const { asked } = this.state.get();
    if (!asked) return;
    this.state.update((now) => ({ ...now, asked: null }));
    this.#answered = asked.text;
    this.#write(asked.text);
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#askLater(), NEXT_QUESTION_MS);
  }

  #askLater(): void {
    const text = this.#later;
    this.#pause = undefined;
    this.#later = null;
    if (text !== null) this.ask(text);
  }

  /** What is asked about is what its owner answers to: it stays. What may always be written gives way to the newest. */
  #show(text: string, refused: boolean): void {
    const { asked, consent } = this.state.get();
    if (asked && consent === "ask") this.#later = text === asked.text ? null : text;
    else this.state.update((now) => ({ ...now, asked: { text, bytes: sizeOf(text), refused } }));
  }

  #write(text: string): void {
    this.#next = text;
    if (!this.#writing) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#next !== null) {
      const text = this.#next;
      this.#next = null;
      const done = await this.#host.write(text);
      if (done) this.#written(text);
      // A page that is not in front may not write: its owner does it by the button, once it is.
      else if (this.state.get().consent !== "never") this.#show(text, true);
    }
    this.#writing = false;
  }

  #written(text: string): void {
    this.#host.written(sizeOf(text));
    const { asked, consent } = this.state.get();
    // What the browser refused before is older.
    if (asked?.refused && consent === "always") this.state.update((now) => ({ ...now, asked: null }));
  }
}

function sizeOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
