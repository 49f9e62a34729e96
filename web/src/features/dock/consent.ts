import { Store } from "../../lib/store.ts";

/** What the owner of a shell said about its programs setting the clipboard. */
export type ClipboardConsent = "ask" | "always" | "never";

export interface ClipboardState {
  consent: ClipboardConsent;
  /** A program asks, or the browser refused what was allowed; null: nothing waits for an answer. */
  asked: { bytes: number; preview: string; refused: boolean } | null;
}

/** What the clipboard gate needs of the page. */
export interface ClipboardHost {
  /** False where the browser refused. */
  write(text: string): Promise<boolean>;
  written(bytes: number): void;
  /** No program may ever, by the reader's own setting. */
  forbidden(): boolean;
}

const PREVIEW = 60;

/**
 * Stands between the programs of one shell and the clipboard: nothing is written before the shell's owner said so.
 * Of several that ask, the newest counts; while one is being written, only the newest waits.
 */
export class ClipboardGate {
  readonly state = new Store<ClipboardState>({ consent: "ask", asked: null });
  readonly #host: ClipboardHost;
  #waiting: string | null = null;
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
    if (consent === "always") this.#write(text);
    else this.#wait(text, false);
  }

  allowOnce(): void {
    this.#answer();
  }

  always(): void {
    this.state.update((now) => ({ ...now, consent: "always" }));
    this.#answer();
  }

  never(): void {
    this.#waiting = null;
    this.#next = null;
    this.state.set({ consent: "never", asked: null });
  }

  /** Takes "always" and "never" back. */
  askAgain(): void {
    this.state.update((now) => ({ ...now, consent: "ask" }));
  }

  #answer(): void {
    const text = this.#waiting;
    this.#waiting = null;
    this.state.update((now) => ({ ...now, asked: null }));
    if (text !== null) this.#write(text);
  }

  #wait(text: string, refused: boolean): void {
    this.#waiting = text;
    this.state.update((now) => ({
      ...now,
      asked: { bytes: new TextEncoder().encode(text).length, preview: previewOf(text), refused },
    }));
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
      if (done) this.#host.written(new TextEncoder().encode(text).length);
      // A page that is not in front may not write: its owner does it by the button, once it is.
      else if (this.state.get().consent !== "never") this.#wait(text, true);
    }
    this.#writing = false;
  }
}

function previewOf(text: string): string {
  const [first = ""] = text.trimStart().split(/[\r\n]/, 1);
  return first.length > PREVIEW ? `${first.slice(0, PREVIEW)}…` : first;
}
