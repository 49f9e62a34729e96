import "@xterm/xterm/css/xterm.css";
import { ClipboardAddon } from "@xterm/addon-clipboard";
import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { type ITerminalOptions, Terminal } from "@xterm/xterm";
import { copyText } from "../lib/clipboard.ts";
import { platform } from "../lib/platform.ts";
import { type Settings, settings } from "../lib/settings.ts";
import { type Theme, theme } from "../lib/theme.ts";
import { type KeyUse, purposeOfKey } from "./keys.ts";
import { openLink } from "./links.ts";
import { palettes } from "./palettes.ts";
import { followRenderer } from "./renderer.ts";
import { TerminalSearch } from "./search.ts";

const FONT = '"JetBrains Mono", ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const FONT_WAIT_MS = 600;

/** What the terminal tells its owner. */
export interface TerminalEvents {
  input(bytes: Uint8Array): void;
  resize(cols: number, rows: number): void;
  bell(): void;
  /** A key that is the page's, not the shell's. */
  key(use: KeyUse): void;
  copied(ok: boolean): void;
}

/** One xterm.js terminal in an element of its own, which can be moved about the page. */
export class TerminalView {
  readonly search: TerminalSearch;
  readonly #term: Terminal;
  readonly #fit = new FitAddon();
  readonly #host = document.createElement("div");
  readonly #events: TerminalEvents;
  readonly #disposers: (() => void)[] = [];
  #hideRenderer: (() => void) | null = null;
  #observer: ResizeObserver | null = null;

  constructor(events: TerminalEvents) {
    this.#events = events;
    this.#host.className = "h-full w-full";
    this.#term = new Terminal(optionsFor(settings.get(), theme.get()));
    this.search = new TerminalSearch(this.#term);
    this.#loadAddons();
    this.#wire();
  }

  get cols(): number {
    return this.#term.cols;
  }

  get rows(): number {
    return this.#term.rows;
  }

  get bracketedPaste(): boolean {
    return this.#term.modes.bracketedPasteMode;
  }

  get applicationCursorKeys(): boolean {
    return this.#term.modes.applicationCursorKeysMode;
  }

  /** Puts the terminal into `parent` and sizes it. Returns the function that takes it out again. */
  show(parent: HTMLElement): () => void {
    parent.append(this.#host);
    if (!this.#term.element) this.#term.open(this.#host);
    this.#hideRenderer = followRenderer(this.#term);
    this.fit();
    this.#observer = new ResizeObserver(() => this.fit());
    this.#observer.observe(parent);
    return () => {
      this.#observer?.disconnect();
      this.#hideRenderer?.();
      this.#host.remove();
    };
  }

  fit(): void {
    // A panel that is folded away has no size; the shell keeps the one it had.
    if (this.#host.clientWidth > 0 && this.#host.clientHeight > 0) this.#fit.fit();
  }

  focus(): void {
    this.#term.focus();
  }

  write(data: Uint8Array | string, parsed?: () => void): void {
    this.#term.write(data, parsed);
  }

  /** A dim line of the page's own among the output. */
  note(text: string, parsed?: () => void): void {
    this.#term.write(noteLine(text), parsed);
  }

  /** Undoes what a program that was cut off has left behind (full screen, mouse reports), and takes no more typing. */
  end(text: string): void {
    this.#term.options.disableStdin = true;
    // What the terminal is in is known only once everything before has been parsed.
    this.#term.write("", () => {
      const leaveFullScreen = this.#term.buffer.active.type === "alternate" ? "\x1b[?1049l" : "";
      this.#term.write(`${leaveFullScreen}${PLAIN_MODES}${noteLine(text)}${HIDE_CURSOR}`);
    });
  }

  /** Types, as the keyboard would. */
  type(data: string): void {
    this.#term.input(data, true);
  }

  paste(text: string): void {
    this.#term.paste(text);
  }

  copySelection(): void {
    if (!this.#term.hasSelection()) return;
    const clear = platform === "windows";
    void copyText(this.#term.getSelection()).then((ok) => {
      if (ok && clear) this.#term.clearSelection();
      this.#events.copied(ok);
    });
  }

  dispose(): void {
    for (const dispose of this.#disposers) dispose();
    this.#observer?.disconnect();
    this.#hideRenderer?.();
    this.#term.dispose();
    this.#host.remove();
  }

  #loadAddons(): void {
    this.#term.loadAddon(this.#fit);
    this.#term.loadAddon(new Unicode11Addon());
    this.#term.unicode.activeVersion = "11";
    this.#term.loadAddon(new WebLinksAddon(openLink));
    this.#term.loadAddon(new ClipboardAddon(undefined, writeOnlyClipboard));
    // Asked what the clipboard holds, a terminal stays silent: even an empty answer would be typed at the prompt.
    this.#term.parser.registerOscHandler(CLIPBOARD, (data) => data.endsWith("?"));
  }

  #wire(): void {
    const encoder = new TextEncoder();
    const term = this.#term;
    term.onData((text) => this.#events.input(encoder.encode(text)));
    term.onBinary((text) => this.#events.input(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    term.onResize(({ cols, rows }) => this.#events.resize(cols, rows));
    term.onBell(() => this.#events.bell());
    term.attachCustomKeyEventHandler((event) => this.#key(event));
    this.#disposers.push(
      theme.watch(() => {
        term.options.theme = palettes[theme.get()];
      }),
      settings.watch(() => this.#applySettings(settings.get())),
    );
  }

  #applySettings(now: Settings): void {
    this.#term.options.fontSize = now.fontSize;
    this.#term.options.scrollback = now.scrollback;
    this.#term.options.screenReaderMode = now.screenReader;
    this.fit();
  }

  /** True: xterm types the key. */
  #key(event: KeyboardEvent): boolean {
    const use = purposeOfKey(event, platform, {
      hasSelection: this.#term.hasSelection(),
      alternateScreen: this.#term.buffer.active.type === "alternate",
    });
    if (use === "shell") return true;
    if (use === "browser") return false;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "keydown") this.#use(use);
    return false;
  }

  #use(use: KeyUse): void {
    if (use === "copy") this.copySelection();
    else if (use === "deleteWord") this.type("\x17");
    else this.#events.key(use);
  }
}

/** The escape sequence "OSC 52". */
const CLIPBOARD = 52;
const HIDE_CURSOR = "\x1b[?25l";
/** No mouse reports, no focus reports, no bracketed paste, plain cursor keys and keypad. */
const PLAIN_MODES = "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>";

function noteLine(text: string): string {
  return `\r\n\x1b[0;2m── ${text} ──\x1b[0m\r\n`;
}

/** A program may set the clipboard (OSC 52), as in any terminal; it may never read what else is in it. */
const writeOnlyClipboard = {
  readText: () => "",
  writeText: async (_selection: string, text: string) => {
    if (document.hasFocus()) await copyText(text);
  },
};

function optionsFor(now: Settings, colours: Theme): ITerminalOptions {
  return {
    // The unicode, search and clipboard parts stand behind this switch.
    allowProposedApi: true,
    cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
    cursorInactiveStyle: "outline",
    fontFamily: FONT,
    fontSize: now.fontSize,
    lineHeight: 1.2,
    linkHandler: { activate: openLink },
    macOptionClickForcesSelection: true,
    minimumContrastRatio: 4.5,
    rightClickSelectsWord: platform === "mac",
    screenReaderMode: now.screenReader,
    scrollback: now.scrollback,
    theme: palettes[colours],
  };
}

/** The terminal measures one letter when it opens, so its font must be there; a slow network may not hold the shell up. */
export async function createTerminal(events: TerminalEvents): Promise<TerminalView> {
  const font = document.fonts?.load(`${settings.get().fontSize}px "JetBrains Mono"`);
  const wait = new Promise((resolve) => setTimeout(resolve, FONT_WAIT_MS));
  await Promise.race([font?.catch(() => undefined), wait]);
  return new TerminalView(events);
}
