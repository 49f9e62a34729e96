/** The first 32 bits of the fractions of the first primes' roots (FIPS 180-4, 4.2.2 and 5.3.3). */
function fractions(count: number, root: number): Int32Array {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) {
    if (isPrime(n)) found.push((n ** (1 / root) % 1) * 2 ** 32);
  }
  return Int32Array.from(found, (fraction) => Math.floor(fraction) | 0);
}

function isPrime(n: number): boolean {
  for (let by = 2; by * by <= n; by++) if (n % by === 0) return false;
  return true;
}

const K = fractions(64, 3);
const START = fractions(8, 2);
const BLOCK = 64;

const turn = (word: number, by: number) => (word >>> by) | (word << (32 - by));

/** SHA-256 (FIPS 180-4) of bytes that come piece by piece: the browser's own takes only what is all in memory. */
export class Sha256 {
  readonly #state = START.slice();
  readonly #words = new Int32Array(64);
  readonly #block = new Uint8Array(BLOCK);
  #bytes = 0;

  /** How many bytes there were. */
  get bytes(): number {
    return this.#bytes;
  }

  update(bytes: Uint8Array): void {
    let from = 0;
    const filled = this.#bytes % BLOCK;
    this.#bytes += bytes.length;
    if (filled > 0) {
      from = Math.min(BLOCK - filled, bytes.length);
      this.#block.set(bytes.subarray(0, from), filled);
      if (filled + from < BLOCK) return;
      this.#mix(this.#block, 0);
    }
    for (; from + BLOCK <= bytes.length; from += BLOCK) this.#mix(bytes, from);
    this.#block.set(bytes.subarray(from));
  }

  /** The sum in lowercase hex. Nothing may be added after it. */
  hex(): string {
    const bytes = this.#bytes;
    const bits = bytes * 8;
    const padding = new Uint8Array(BLOCK + 8 - ((bytes + 8) % BLOCK));
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    this.#bytes = bytes;
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** One block of 64 bytes at `from`. */
  #mix(bytes: Uint8Array, from: number): void {
    const w = this.#words;
    for (let i = 0; i < 16; i++) {
      const at = from + i * 4;
      w[i] = (byte(bytes, at) << 24) | (byte(bytes, at + 1) << 16) | (byte(bytes, at + 2) << 8) | byte(bytes, at + 3);
    }
    for (let i = 16; i < 64; i++) {
      const near = word(w, i - 2);
      const far = word(w, i - 15);
      const s0 = turn(far, 7) ^ turn(far, 18) ^ (far >>> 3);
      const s1 = turn(near, 17) ^ turn(near, 19) ^ (near >>> 10);
      w[i] = (word(w, i - 16) + s0 + word(w, i - 7) + s1) | 0;
    }
    this.#rounds(w);
  }

  #rounds(w: Int32Array): void {
    const state = this.#state;
    // One by one: taken apart as an array it costs half of the speed.
    let a = word(state, 0);
    let b = word(state, 1);
    let c = word(state, 2);
    let d = word(state, 3);
    let e = word(state, 4);
    let f = word(state, 5);
    let g = word(state, 6);
    let h = word(state, 7);
    for (let i = 0; i < 64; i++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + word(K, i) + word(w, i)) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    const add = [a, b, c, d, e, f, g, h];
    for (let i = 0; i < 8; i++) state[i] = (word(state, i) + (add[i] ?? 0)) | 0;
  }
}

/** Typed arrays are read within their bounds here; the type checker cannot know. */
const word = (words: Int32Array, at: number) => words[at] as number;
const byte = (bytes: Uint8Array, at: number) => bytes[at] as number;
