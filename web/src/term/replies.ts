import type { Terminal } from "@xterm/xterm";

/** What a terminal answers when a program asks: who it is, where the cursor stands, which modes and colours it has. */
const QUESTIONS = [
  { final: "c" },
  { prefix: ">", final: "c" },
  { final: "n" },
  { prefix: "?", final: "n" },
  { intermediates: "$", final: "p" },
  { prefix: "?", intermediates: "$", final: "p" },
];
const SETTING = { intermediates: "$", final: "q" };
const COLOURS = [4, 10, 11, 12];
/** Whether the terminal has the keyboard: said at once to whoever asks to be told, from then on of itself. */
const FOCUS = ["\x1b[I", "\x1b[O"];

/**
 * Keeps a terminal from answering questions that were answered already. Old output is full of them, and whoever asked
 * is gone: the answers would be typed at the prompt.
 */
export class Replies {
  muted = false;

  constructor({ parser }: Terminal) {
    for (const question of QUESTIONS) parser.registerCsiHandler(question, () => this.muted);
    parser.registerDcsHandler(SETTING, () => this.muted);
    for (const colour of COLOURS) parser.registerOscHandler(colour, (data) => this.muted && data.includes("?"));
  }

  /** Whether what the terminal is about to type answers old output: the mode in which it tells of the keyboard must be taken over. */
  held(typed: string): boolean {
    return this.muted && FOCUS.includes(typed);
  }
}
