const [BEL, CAN, SUB, ESC] = [0x07, 0x18, 0x1a, 0x1b];

/** Between sequences; after ESC; in one that ends with a letter; in a text that ends with BEL or ESC; in one that only ESC ends. */
type State = "ground" | "escape" | "csi" | "osc" | "text";

const TEXTS = new Set([..."PX^_"].map((char) => char.charCodeAt(0)));

/**
 * Knows how many of the newest bytes are the beginning of an escape sequence, or of a character, whose rest has not
 * come yet. A picture of the screen is one of everything before them: whoever goes on from it must begin there.
 *
 * An ESC begins anew whatever was before it, so only what follows the last one is looked at. The one-byte forms
 * of the sequences (C1), which no program writes in UTF-8, are not known here.
 */
export class Boundary {
  #state: State = "ground";
  #open = 0;
  /** The newest bytes outside of sequences, as many as a character may have. */
  #tail: number[] = [];

  get incomplete(): number {
    return this.#state === "ground" ? incompleteCharacter(this.#tail) : this.#open;
  }

  reset(): void {
    this.#state = "ground";
    this.#open = 0;
    this.#tail = [];
  }

  push(bytes: Uint8Array): void {
    const last = bytes.lastIndexOf(ESC);
    if (last >= 0) {
      this.#state = "escape";
      this.#open = 1;
    }
    let at = last + 1;
    while (at < bytes.length && this.#state !== "ground") this.#step(bytes[at++] ?? 0);
    if (this.#state === "ground") this.#remember(bytes.subarray(at), last >= 0 || at > 0);
  }

  #step(byte: number): void {
    this.#open++;
    this.#state = byte === CAN || byte === SUB ? "ground" : after(this.#state, byte);
  }

  #remember(text: Uint8Array, afterSequence: boolean): void {
    const before = afterSequence ? [] : this.#tail;
    this.#tail = [...before, ...text.subarray(-3)].slice(-3);
  }
}

function after(state: State, byte: number): State {
  switch (state) {
    case "escape":
      return afterEscape(byte);
    case "csi":
      return byte >= 0x40 && byte <= 0x7e ? "ground" : "csi";
    case "osc":
      return byte === BEL ? "ground" : "osc";
    default:
      return state;
  }
}

function afterEscape(byte: number): State {
  if (byte === 0x5b) return "csi";
  if (byte === 0x5d) return "osc";
  if (TEXTS.has(byte)) return "text";
  // Intermediate bytes, and controls, which are obeyed in between.
  return byte < 0x30 ? "escape" : "ground";
}

/** How many bytes at the end are the beginning of a character in UTF-8. */
function incompleteCharacter(tail: readonly number[]): number {
  for (let back = 1; back <= tail.length; back++) {
    const byte = tail[tail.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < lengthOf(byte) ? back : 0;
  }
  return 0;
}

function lengthOf(lead: number): number {
  if (lead >= 0xf0) return 4;
  return lead >= 0xe0 ? 3 : 2;
}
