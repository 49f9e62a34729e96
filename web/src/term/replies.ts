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
}
