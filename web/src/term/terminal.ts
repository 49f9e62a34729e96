import "@xterm/xterm/css/xterm.css";
import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { type ITerminalOptions, Terminal } from "@xterm/xterm";
import { copyText } from "../lib/clipboard.ts";
import { platform } from "../lib/platform.ts";
import { type Settings, settings, stepFont } from "../lib/settings.ts";
import { loadTerminalFont } from "../lib/terminalFont.ts";
import { type Theme, theme } from "../lib/theme.ts";
import { Boundary } from "./boundary.ts";
import { withoutPasteMarks } from "./brackets.ts";
import { bufferText } from "./bufferText.ts";
import { blinkCursor } from "./cursor.ts";
import { letGoOnReturn } from "./held.ts";
import { type KeyUse, purposeOfKey } from "./keys.ts";
import { Links } from "./links.ts";
import { folderOf } from "./osc7.ts";
import { clipboardText } from "./osc52.ts";
import { palettes } from "./palettes.ts";
import { type Picture, Pictures } from "./picture.ts";
import { followRenderer } from "./renderer.ts";
import { Replies } from "./replies.ts";
import { TerminalSearch } from "./search.ts";

const FONT = '"JetBrains Mono", ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const FONT_WAIT_MS = 600;
const CURSOR_HIGH = "data-cursor-high";
/** Old output comes in one go: a pause of this length is its end, */
const LULL_MS = 300;
/** and a program that prints all the time has its questions answered after this long. */
const REPLAY_MOST_MS = 5_000;

/** What the terminal tells its owner. */
export interface TerminalEvents {
  input(bytes: Uint8Array): void;
  resize(cols: number, rows: number): void;
  bell(): void;
  /** A key that is the page's, not the shell's. */
  key(use: KeyUse): void;
  copied(ok: boolean): void;
  /** Text from the clipboard; nothing is typed of it yet. */
  paste(text: string): void;
  /** A program asks to set the clipboard; nothing is written yet. */
  clipboard(text: string): void;
  isSplit(): boolean;
}

/** One xterm.js terminal in an element of its own, which can be moved about the page. */
export class TerminalView {
  readonly search: TerminalSearch;
  readonly #term: Terminal;
  readonly #fit = new FitAddon();
  readonly #boundary = new Boundary();
  readonly #pictures: Pictures;
  readonly #replies: Replies;
  readonly #host = document.createElement("div");
  readonly #links = new Links(this.#host);
  readonly #events: TerminalEvents;
  readonly #disposers: (() => void)[] = [];
  #folder = "";
  #printedAt = 0;
  #replayed: ReturnType<typeof setTimeout> | undefined;
  #hideRenderer: (() => void) | null = null;
  #observer: ResizeObserver | null = null;

  constructor(events: TerminalEvents) {
    this.#events = events;
    this.#host.className = "h-full w-full";
    this.#term = new Terminal({ ...optionsFor(settings.get(), theme.get()), linkHandler: this.#links });
    this.search = new TerminalSearch(this.#term);
    this.#pictures = new Pictures(this.#term);
    this.#replies = new Replies(this.#term);
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

  /** The folder that the shell has last said to be in; empty where it says nothing of it. */
  get folder(): string {
    return this.#folder;
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
      this.#links.leave();
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

  /** The shell's output. */
  write(data: Uint8Array, parsed: () => void): void {
    this.#printedAt = Date.now();
    this.#term.write(data, () => {
      this.#boundary.push(data);
      parsed();
    });
  }

  /**
   * A grey line of the page's own among the output. A full-screen program has no room for one, and paints over it: then
   * nothing is written, and false returned.
   */
  note(text: string, parsed?: () => void): boolean {
    const room = this.#term.buffer.active.type === "normal";
    this.#term.write(room ? noteLine(text) : "", () => {
      this.#boundary.reset();
      parsed?.();
    });
    return room;
  }

  /**
   * What comes now is old: questions in it are not answered, and nothing of it gets to the clipboard, until everything
   * that came within `milliseconds`, and from then on without a pause, is parsed.
   */
  replay(milliseconds: number): void {
    this.#replies.muted = true;
    const latest = Date.now() + REPLAY_MOST_MS;
    const look = () => {
      const lull = Date.now() - this.#printedAt;
      if (lull < LULL_MS && Date.now() < latest) {
        this.#replayed = setTimeout(look, LULL_MS - lull);
        return;
      }
      this.#term.write("", () => {
        this.#replies.muted = false;
      });
    };
    clearTimeout(this.#replayed);
    this.#replayed = setTimeout(look, milliseconds);
  }

  /** How many of the newest bytes parsed are the beginning of something, so that no picture holds them. */
  get incomplete(): number {
    return this.#boundary.incomplete;
  }

  /** The terminal as text of at most `limit` characters; null where that is too little. */
  picture(limit: number): Picture | null {
    return this.#pictures.take(limit);
  }

  /** Draws a picture, before any output. */
  draw(picture: Picture): Promise<void> {
    return new Promise((drawn) => this.#pictures.draw(picture, drawn));
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

  /** Types pasted text. */
  paste(text: string): void {
    this.#term.paste(withoutPasteMarks(text));
  }

  get alternateScreen(): boolean {
    return this.#term.buffer.active.type === "alternate";
  }

  /** Everything above and on the screen; below it what a full-screen program shows. */
  text(): string {
    const { normal, alternate } = this.#term.buffer;
    return bufferText(normal) + (this.alternateScreen ? `\n${bufferText(alternate)}` : "");
  }

  /** Leaves the line that one types in, and nothing above it. A full-screen program keeps its screen. */
  clear(): void {
    if (!this.alternateScreen) this.#term.clear();
  }

  copySelection(): void {
    this.#copy(platform === "windows");
  }

  #copy(thenClear: boolean): void {
    if (!this.#term.hasSelection()) return;
    void copyText(this.#term.getSelection()).then((ok) => {
      if (ok && thenClear) this.#term.clearSelection();
      this.#events.copied(ok);
    });
  }

  dispose(): void {
    for (const dispose of this.#disposers) dispose();
    clearTimeout(this.#replayed);
    this.#observer?.disconnect();
    this.#hideRenderer?.();
    this.#term.dispose();
    this.#host.remove();
  }

  #loadAddons(): void {
    this.#term.loadAddon(this.#fit);
    this.#term.loadAddon(new Unicode11Addon());
    this.#term.unicode.activeVersion = "11";
    this.#term.loadAddon(new WebLinksAddon(this.#links.activate, this.#links));
  }

  #wire(): void {
    const encoder = new TextEncoder();
    const term = this.#term;
    term.onData((text) => {
      if (!this.#replies.held(text)) this.#events.input(encoder.encode(text));
    });
    term.onBinary((text) => this.#events.input(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    term.onResize(({ cols, rows }) => this.#events.resize(cols, rows));
    term.onBell(() => this.#events.bell());
    for (const moved of [term.onCursorMove, term.onResize, term.buffer.onBufferChange]) moved(() => this.#markCursor());
    term.attachCustomKeyEventHandler((event) => this.#key(event));
    // Asked what the clipboard holds, a terminal stays silent: even an empty answer would be typed at the prompt.
    term.parser.registerOscHandler(CLIPBOARD, (data) => {
      const text = clipboardText(data);
      // What is replayed has asked already.
      if (text !== null && !this.#replies.muted) this.#events.clipboard(text);
      return true;
    });
    term.parser.registerOscHandler(FOLDER, (data) => {
      this.#folder = folderOf(data);
      return true;
    });
    this.#host.addEventListener("paste", (event) => this.#pasted(event), { capture: true });
    this.#disposers.push(this.#watchSelecting(), blinkCursor(term, this.#host), letGoOnReturn(this.#host));
    this.#disposers.push(
      theme.watch(() => {
        term.options.theme = palettes[theme.get()];
      }),
      settings.watch(() => this.#applySettings(settings.get())),
    );
  }

  /** Where one types in the upper half of the screen the element says so. A full-screen program's cursor is anywhere. */
  #markCursor(): void {
    const { type, cursorY } = this.#term.buffer.active;
    const high = type === "normal" && cursorY < this.#term.rows / 2;
    if (high !== this.#host.hasAttribute(CURSOR_HIGH)) this.#host.toggleAttribute(CURSOR_HIGH);
  }

  #applySettings(now: Settings): void {
    this.#term.options.fontSize = now.fontSize;
    this.#term.options.cursorStyle = now.cursor;
    this.#term.options.cursorBlink = now.cursorBlink && !calm();
    this.#term.options.scrollback = now.scrollback;
    this.#term.options.screenReaderMode = now.screenReader;
    this.fit();
  }

  /** Before xterm sees it: what is typed of a paste is decided by its owner. */
  #pasted(event: ClipboardEvent): void {
    event.preventDefault();
    event.stopPropagation();
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (text !== "") this.#events.paste(text);
  }

  /** Copies what the mouse has selected, where the setting says so. What a search selects is left alone. */
  #watchSelecting(): () => void {
    let held = false;
    let selected = false;
    const down = () => {
      held = true;
      selected = false;
      window.addEventListener("mouseup", up, { once: true });
    };
    // On the window, after xterm's own on the document, which ends the selecting.
    const up = () => {
      held = false;
      if (selected && settings.get().copyOnSelect) this.#copy(false);
    };
    const changed = this.#term.onSelectionChange(() => {
      selected = held;
    });
    this.#host.addEventListener("mousedown", down, { capture: true });
    return () => {
      changed.dispose();
      window.removeEventListener("mouseup", up);
    };
  }

  /** True: xterm types the key. */
  #key(event: KeyboardEvent): boolean {
    const use = purposeOfKey(event, platform, {
      hasSelection: this.#term.hasSelection(),
      alternateScreen: this.alternateScreen,
      split: this.#events.isSplit(),
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
    else if (use === "larger") stepFont(1);
    else if (use === "smaller") stepFont(-1);
    else if (use === "normalSize") stepFont(0);
    else this.#events.key(use);
  }
}

/** The escape sequence "OSC 52". */
const CLIPBOARD = 52;
const FOLDER = 7;
const HIDE_CURSOR = "\x1b[?25l";
/** No mouse reports, no focus reports, no bracketed paste, plain cursor keys and keypad. */
const PLAIN_MODES = "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>";

/** In a grey that is read as well as the rest: a dim letter would keep too little of its contrast. */
function noteLine(text: string): string {
  return `\r\n\x1b[0;90m── ${text} ──\x1b[0m\r\n`;
}

/** Whether whoever looks wants nothing to move. */
function calm(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function optionsFor(now: Settings, colours: Theme): ITerminalOptions {
  return {
    // The unicode, search and clipboard parts stand behind this switch.
    allowProposedApi: true,
    cursorBlink: now.cursorBlink && !calm(),
    cursorStyle: now.cursor,
    cursorInactiveStyle: "outline",
    fontFamily: FONT,
    fontSize: now.fontSize,
    lineHeight: 1.2,
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
  const wait = new Promise((resolve) => setTimeout(resolve, FONT_WAIT_MS));
  await Promise.race([loadTerminalFont(), wait]);
  return new TerminalView(events);
}
