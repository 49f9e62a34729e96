import { execUrl } from "../../api/endpoints.ts";
import { formatBytes } from "../../lib/bytes.ts";
import { copyText } from "../../lib/clipboard.ts";
import { notify } from "../../lib/notice.ts";
import { settings } from "../../lib/settings.ts";
import { Store } from "../../lib/store.ts";
import { type ExecEnd, type ExecSocket, ExecStream } from "../../stream/exec.ts";
import type { HelloFrame } from "../../stream/frames.ts";
import type { KeyUse } from "../../term/keys.ts";
import type { TerminalView } from "../../term/terminal.ts";
import { ClipboardGate } from "./consent.ts";
import { armCtrl } from "./ctrl.ts";
import { type Ending, endingOf, hiddenEnding, inTheWay, pageEnding } from "./ending.ts";
import { gapNote } from "./gap.ts";

export interface ShellTarget {
  cluster: string;
  namespace: string;
  pod: string;
  container: string;
  /** Why the shell is opened, where the cluster wants to know. */
  reason: string;
}

export interface ShellState {
  /** What its owner calls it; empty: by its pod. */
  name: string;
  /** Which of the shells in the same container this is, from 1. */
  number: number;
  phase: "connecting" | "connected" | "ended";
  hello: HelloFrame | null;
  connectedAt: number;
  endedAt: number;
  ending: Ending | null;
  /** Output arrived while the shell was not in view. */
  unread: boolean;
  /** A program rang while the shell was not in view. */
  rang: boolean;
  /** When the server will end the shell unless something happens in it. */
  idleUntil: number | null;
  /** Pasted bytes still waiting for the program. */
  waiting: number;
  ctrlArmed: boolean;
  /** The server is slow to answer: what is typed now may not arrive. */
  doubtful: boolean;
}

/** What a shell asks of the dock around it. */
export interface ShellHost {
  key(use: KeyUse): void;
  /** Text from the clipboard, to be typed here. */
  paste(shell: Shell, text: string): void;
  isSplit(): boolean;
  copied(ok: boolean): void;
  /** A limit kept the shell from opening, and ending another one would help. */
  capped(shell: Shell): void;
}

const PROGRESS_MS = 250;
const INTERRUPT = 0x03;
const PASTE_END = new TextEncoder().encode("\x1b[201~");

/** The terminal's own code; the largest part of the page, so it is fetched on its own. */
export const loadTerminal = () => import("../../term/terminal.ts");

let count = 0;

/** One shell: its terminal, its stream, and what the page shows of both. It lives until it is closed, on whatever page one is. */
export class Shell {
  readonly id = `shell-${++count}`;
  readonly target: ShellTarget;
  /** What its programs may do to the clipboard. */
  readonly clipboard = new ClipboardGate({
    write: (text) => (document.hasFocus() ? copyText(text) : Promise.resolve(false)),
    written: (bytes) => notify(`A program set your clipboard: ${formatBytes(bytes)}`),
    forbidden: () => settings.get().clipboard === "never",
  });
  readonly state = new Store<ShellState>({
    name: "",
    number: 1,
    phase: "connecting",
    hello: null,
    connectedAt: 0,
    endedAt: 0,
    ending: null,
    unread: false,
    rang: false,
    idleUntil: null,
    waiting: 0,
    ctrlArmed: false,
    doubtful: false,
  });
  readonly #host: ShellHost;
  #terminal: TerminalView | null = null;
  #loading: Promise<TerminalView> | null = null;
  #stream: ExecStream | null = null;
  #visible = false;
  #lastActivity = Date.now();
  #progress: ReturnType<typeof setInterval> | undefined;

  constructor(
    target: ShellTarget,
    host: ShellHost,
    { number = 1, name = "" }: { number?: number; name?: string } = {},
  ) {
    this.target = target;
    this.#host = host;
    this.#set({ number, name });
  }

  get live(): boolean {
    return this.state.get().phase !== "ended";
  }

  get lastActivity(): number {
    return this.#lastActivity;
  }

  get traffic(): { bytesIn: number; bytesOut: number } {
    return { bytesIn: this.#stream?.bytesIn ?? 0, bytesOut: this.#stream?.bytesOut ?? 0 };
  }

  get terminal(): TerminalView | null {
    return this.#terminal;
  }

  /** Shows the terminal in `parent`; the first time, this also connects it. Returns the function that takes it away. */
  mount(parent: HTMLElement, wantsKeyboard: () => boolean = () => true): () => void {
    let hide: (() => void) | null = null;
    let left = false;
    this.#load().then(
      (terminal) => {
        if (left) return;
        hide = terminal.show(parent);
        this.#visible = true;
        this.clearMarks();
        if (wantsKeyboard()) terminal.focus();
        this.#connect(terminal);
      },
      () => this.#end(pageEnding),
    );
    return () => {
      left = true;
      this.#visible = false;
      hide?.();
    };
  }

  focus(): void {
    this.#terminal?.focus();
  }

  /** Takes the marks of news away, where its owner can see what they were for. */
  clearMarks(): void {
    if (this.#inSight) this.#set({ unread: false, rang: false });
  }

  get #inSight(): boolean {
    return this.#visible && !document.hidden;
  }

  rename(name: string): void {
    this.#set({ name });
  }

  /** Asks the server to end the shell. */
  disconnect(): void {
    if (this.#stream) this.#stream.close();
    else this.#end(endingOf({ kind: "lost", hadShell: false, why: "closed" }));
  }

  /** Answers the server's warning that the shell is idle; nothing is typed. */
  stay(): void {
    this.#stream?.stay();
    this.focus();
  }

  /** Ends the shell because the page was hidden for so long. */
  endHidden(seconds: number): void {
    this.#end(hiddenEnding(seconds));
    this.#stream?.close();
  }

  probe(): void {
    this.#stream?.probe();
  }

  setCtrl(armed: boolean): void {
    this.#set({ ctrlArmed: armed });
    this.focus();
  }

  dispose(): void {
    this.#stream?.close();
    clearInterval(this.#progress);
    this.#terminal?.dispose();
    this.#terminal = null;
  }

  #load(): Promise<TerminalView> {
    this.#loading ??= loadTerminal().then(async ({ createTerminal }) => {
      this.#terminal = await createTerminal({
        input: (bytes) => this.#input(bytes),
        resize: (cols, rows) => this.#stream?.resize(cols, rows),
        bell: () => this.#bell(),
        key: (use) => this.#host.key(use),
        copied: (ok) => this.#host.copied(ok),
        paste: (text) => this.#host.paste(this, text),
        clipboard: (text) => this.clipboard.ask(text),
        isSplit: () => this.#host.isSplit(),
      });
      return this.#terminal;
    });
    return this.#loading;
  }

  #connect(terminal: TerminalView): void {
    if (this.#stream || !this.live) return;
    const { container, reason } = this.target;
    this.#stream = new ExecStream({
      url: execUrl(this.target, window.location),
      open: { container, reason, command: [], tty: true, cols: terminal.cols, rows: terminal.rows },
      openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as ExecSocket,
      handlers: {
        hello: (hello) => this.#set({ phase: "connected", hello, connectedAt: Date.now() }),
        output: (bytes, parsed) => this.#output(terminal, bytes, parsed),
        gap: (gap, parsed) => this.#gap(terminal, gapNote(gap), parsed),
        idleWarning: (seconds) => this.#set({ idleUntil: Date.now() + seconds * 1000 }),
        doubt: (doubtful) => this.#set({ doubtful }),
        activity: () => this.#active(),
        ended: (end) => this.#ended(end),
      },
    });
  }

  #input(typed: Uint8Array): void {
    const stream = this.#stream;
    if (!stream || !this.live) return;
    let bytes = typed;
    if (this.state.get().ctrlArmed) {
      bytes = armCtrl(typed);
      this.#set({ ctrlArmed: false });
    }
    if (bytes.length === 1 && bytes[0] === INTERRUPT) this.#cancelPaste(stream);
    stream.write(bytes);
    if (stream.unsent > 0) this.#watchProgress(stream);
  }

  /** Ctrl+C is meant for now, not for the end of a long paste: what was not sent of it is dropped. */
  #cancelPaste(stream: ExecStream): void {
    if (stream.discardUnsent() > 0 && this.#terminal?.bracketedPaste) stream.write(PASTE_END);
  }

  #watchProgress(stream: ExecStream): void {
    if (this.#progress !== undefined) return;
    this.#progress = setInterval(() => {
      this.#set({ waiting: stream.unsent });
      if (stream.unsent > 0) return;
      clearInterval(this.#progress);
      this.#progress = undefined;
    }, PROGRESS_MS);
  }

  #output(terminal: TerminalView, bytes: Uint8Array, parsed: () => void): void {
    // A tab that was closed throws away what its shell still prints.
    if (this.#terminal) terminal.write(bytes, parsed);
    else parsed();
    if (!this.#inSight) this.#set({ unread: true });
  }

  #gap(terminal: TerminalView, note: string, parsed: () => void): void {
    if (this.#terminal) terminal.note(note, parsed);
    else parsed();
  }

  #bell(): void {
    if (settings.get().bell && !this.#inSight) this.#set({ rang: true });
  }

  #active(): void {
    this.#lastActivity = Date.now();
    if (this.state.get().idleUntil !== null) this.#set({ idleUntil: null });
  }

  #ended(end: ExecEnd): void {
    const ending = endingOf(end);
    this.#end(ending);
    if (inTheWay(ending, this.target.cluster).length > 0) this.#host.capped(this);
  }

  #end(ending: Ending): void {
    if (!this.live) return;
    clearInterval(this.#progress);
    this.#set({ phase: "ended", ending, endedAt: Date.now(), idleUntil: null, waiting: 0, ctrlArmed: false });
    this.#terminal?.end(ending.exitCode === null ? ending.title : `${ending.title} (exit code ${ending.exitCode})`);
  }

  #set(change: Partial<ShellState>): void {
    const now = this.state.get();
    const same = (Object.keys(change) as (keyof ShellState)[]).every((key) => Object.is(now[key], change[key]));
    if (!same) this.state.set({ ...now, ...change });
  }
}
