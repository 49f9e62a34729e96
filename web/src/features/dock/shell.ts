import { reachable } from "../../api/client.ts";
import { execSessions, execUrl } from "../../api/endpoints.ts";
import { noteShellless } from "../../api/shells.ts";
import { formatBytes } from "../../lib/bytes.ts";
import { copyText } from "../../lib/clipboard.ts";
import { notify } from "../../lib/notice.ts";
import { settings } from "../../lib/settings.ts";
import { Store } from "../../lib/store.ts";
import { AWAY_BYTES, type Beginning, type ExecEnd, ExecStream, type Size } from "../../stream/exec.ts";
import type { HelloFrame } from "../../stream/frames.ts";
import type { ExecSocket } from "../../stream/link.ts";
import type { KeyUse } from "../../term/keys.ts";
import type { TerminalEvents, TerminalView } from "../../term/terminal.ts";
import { ClipboardGate, type ClipboardHost } from "./consent.ts";
import { armCtrl, isReport } from "./ctrl.ts";
import { NotStarted, startDebug } from "./debug.ts";
import {
  type Away,
  cancelledEnding,
  type Ending,
  endingOf,
  hiddenEnding,
  inTheWay,
  notTakenOver,
  pageEnding,
} from "./ending.ts";
import { gapNote } from "./gap.ts";
import { Hold, LATE_MS, SOON_MS } from "./hold.ts";
import type { KeptScreen, KeptShell } from "./keep.ts";
import { lookedInto, type ShellTarget } from "./target.ts";

export type { ShellTarget } from "./target.ts";

/** Why a shell that lives is not connected here: the page was hidden; another window took it, or has had it all along. */
export type AwayWhy = "hidden" | "taken" | "elsewhere";

export interface ShellState {
  /** What its owner calls it; empty: by its pod. */
  name: string;
  /** Which of the shells in the same container this is, from 1. */
  number: number;
  /**
   * `reconnecting`: the connection is lost, the shell waits, and the page tries to get back to it. `away`: the shell
   * lives, but not here.
   */
  phase: "connecting" | "connected" | "reconnecting" | "away" | "ended";
  /** What is done before the shell can be opened; empty: nothing. */
  preparing: string;
  hello: HelloFrame | null;
  connectedAt: number;
  endedAt: number;
  ending: Ending | null;
  /** How often the page has tried to get back. */
  tries: number;
  away: AwayWhy | null;
  /** For some seconds after it came: "same shell resumed", "new shell". */
  remark: string;
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
  /** The server did not let the page back in, and the browser does not say why. */
  unanswered(): void;
}

/** A shell to come back to: one that this tab had before it was loaded anew, or one's own from wherever it is. */
export type Return =
  | { kind: "kept"; shell: KeptShell; screen: KeptScreen | null; leftAt: number }
  | { kind: "takeOver"; sessionId: string };

/** What is known about a shell before it opens. */
export interface Origin {
  back?: Return;
  /** What the shell before this one in its tab ended by. */
  insteadOf?: string;
  number?: number;
  name?: string;
}

const PROGRESS_MS = 250;
/** For how long output may be a program that draws itself anew for another size: no news to anybody. */
const DRAW_MS = 1_000;
const REMARK_MS = 6_000;
/** How long the old output of a shell that one comes to may take to begin. */
const REPLAY_MS = 1_000;
/** How long a shell that its key does not open is looked for in the list of open shells. */
const LIST_MS = 5_000;
/** How long a take-over is tried, where the server's grace is not known. */
const TAKE_OVER_SECONDS = 60;
/** The size of a shell that nobody will look at. */
const UNSEEN: Size = { cols: 80, rows: 24 };
const INTERRUPT = 0x03;
const PASTE_END = new TextEncoder().encode("\x1b[201~");

let terminalCode: Promise<typeof import("../../term/terminal.ts")> | null = null;

/** The terminal's own code; the largest part of the page, so it is fetched on its own, once for all who ask together. */
export function loadTerminal() {
  terminalCode ??= import("../../term/terminal.ts").catch((failed) => {
    terminalCode = null;
    throw failed;
  });
  return terminalCode;
}

const clipboardHost: ClipboardHost = {
  write: (text) => (document.hasFocus() ? copyText(text) : Promise.resolve(false)),
  written: (bytes) => notify(`A program set your clipboard: ${formatBytes(bytes)}`),
  forbidden: () => settings.get().clipboard === "never",
};

let count = 0;

/** One shell: its terminal, its stream, and what the page shows of both. It lives until it is closed, on whatever page one is. */
export class Shell {
  readonly id = `shell-${++count}`;
  readonly target: ShellTarget;
  /** What its programs may do to the clipboard. */
  readonly clipboard: ClipboardGate;
  readonly state = new Store<ShellState>({
    name: "",
    number: 1,
    phase: "connecting",
    preparing: "",
    hello: null,
    connectedAt: 0,
    endedAt: 0,
    ending: null,
    tries: 0,
    away: null,
    remark: "",
    unread: false,
    rang: false,
    idleUntil: null,
    waiting: 0,
    ctrlArmed: false,
    doubtful: false,
  });
  readonly #host: ShellHost;
  readonly #insteadOf: string;
  #back: Return | null;
  #terminal: TerminalView | null = null;
  /** What waits until the terminal is loaded and shows what was kept; null: nothing has to wait any more. */
  #early: ((terminal: TerminalView) => void)[] | null = [];
  #loading: Promise<TerminalView> | null = null;
  #stream: ExecStream | null = null;
  #preparing: AbortController | null = null;
  #hold: Hold | null = null;
  /** Asked for, and still with another window. */
  #hoped: Hold | null = null;
  /** To be ended as soon as it is known to be this tab's own. */
  #closing = false;
  #visible = false;
  #lastActivity = Date.now();
  #drawsUntil = 0;
  /** Since when no page is connected to it, by the wall clock; 0: one is, or that is not known. */
  #lostAt = 0;
  #progress: ReturnType<typeof setInterval> | undefined;
  #remark: ReturnType<typeof setTimeout> | undefined;

  constructor(target: ShellTarget, host: ShellHost, { back, insteadOf = "", number = 1, name = "" }: Origin = {}) {
    this.target = target;
    this.#host = host;
    this.#insteadOf = insteadOf;
    this.#back = back ?? null;
    this.clipboard = new ClipboardGate(clipboardHost, back?.kind === "kept" ? back.shell.clipboard : undefined);
    this.#set({ number, name });
    if (back?.kind === "kept") {
      this.#lostAt = back.leftAt;
      this.#set({ phase: "reconnecting", connectedAt: back.shell.connectedAt });
    }
  }

  /** Whether it runs, and is this page's own. */
  get live(): boolean {
    const { phase, away } = this.state.get();
    return phase === "away" ? away === "hidden" : phase !== "ended";
  }

  /** Whether only this page could not show it: it runs on, and the page that is loaded next comes back to it. */
  get awaitsReload(): boolean {
    return this.state.get().ending === pageEnding && this.keep() !== null;
  }

  get connected(): boolean {
    return this.state.get().phase === "connected";
  }

  /** Whether it needs nobody to come back to it. */
  get here(): boolean {
    return this.connected || this.state.get().phase === "connecting";
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

  /** Empty until the server has named it. */
  get sessionId(): string {
    const back = this.#back?.kind === "kept" ? this.#back.shell.sessionId : (this.#back?.sessionId ?? "");
    return this.state.get().hello?.sessionId || back;
  }

  /** What a page that is loaded anew needs to come back; null where there is no way back. */
  keep(): KeptShell | null {
    const { phase, ending, away, connectedAt, hello, name, number } = this.state.get();
    const clipboard = this.clipboard.state.get().consent;
    // What only this page could not show runs on, for the next one.
    if ((phase === "ended" && ending !== pageEnding) || away === "taken") return null;
    const key = this.#stream?.key;
    // One that was not come back to yet, or that another window has, is kept as it was.
    if (!key?.token) return this.#back?.kind === "kept" ? { ...this.#back.shell, name, number, clipboard } : null;
    const { container, debug: _, ...target } = this.target;
    return {
      sessionId: key.sessionId,
      token: key.token,
      resumeSeconds: key.resumeSeconds,
      target: { ...target, container: hello?.container || container, of: lookedInto(this.target) || undefined },
      connectedAt,
      name,
      number,
      clipboard,
    };
  }

  /** The screen, in at most `limit` characters, and the offset at which the output goes on behind it. */
  portray(limit: number): KeptScreen | null {
    const stream = this.#stream;
    const terminal = this.#terminal;
    // As long as nothing more was drawn, what was kept is what there is.
    if (this.#early || !stream || !terminal) return this.#back?.kind === "kept" ? this.#back.screen : null;
    const { position } = stream;
    if (position === null) return null;
    const picture = terminal.picture(limit);
    return picture && { ...picture, offset: Math.max(0, position - terminal.incomplete) };
  }

  /** What is lost where the page is left now and comes back: typing that is still on its way. */
  get unsent(): number {
    return this.#stream?.unsent ?? 0;
  }

  /**
   * Shows the terminal in `parent`; the first time, this also connects it, though it may be out of view again by then.
   * Returns the function that takes it away.
   */
  mount(parent: HTMLElement, wantsKeyboard: () => boolean = () => true): () => void {
    let hide: (() => void) | null = null;
    let left = false;
    this.#load().then(
      (terminal) => {
        if (!left) {
          hide = terminal.show(parent);
          this.#visible = true;
          this.clearMarks();
          if (wantsKeyboard()) terminal.focus();
        }
        this.#connect(terminal);
      },
      () => this.#notLoaded(),
    );
    return () => {
      left = true;
      this.#visible = false;
      hide?.();
    };
  }

  /** Connects it without showing it: a shell that waits does not wait for its tab to be looked at. */
  wake(): void {
    this.#load().then(
      (terminal) => this.#connect(terminal),
      () => this.#notLoaded(),
    );
  }

  /** Without a terminal there is no shell here; the server keeps it for a while. */
  #notLoaded(): void {
    this.#early = null;
    this.#stream?.detach();
    this.#end(pageEnding);
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
    else if (this.#preparing) this.#end(cancelledEnding);
    else if (!this.#closeKept()) this.#end(endingOf({ kind: "lost", hadShell: false, why: "closed" }));
  }

  /** Ends a shell that the page has not come back to yet, once it holds it. Returns false where there is none. */
  #closeKept(): boolean {
    if (this.#stream || this.#back?.kind !== "kept" || !this.live) return false;
    this.#closing = this.#hold === null;
    if (!this.#closing) this.#start(this.#beginning(this.target.container), this.#back.screen ?? UNSEEN).close();
    return true;
  }

  /** Answers the server's warning that the shell is idle; nothing is typed. */
  stay(): void {
    this.#stream?.stay();
    this.focus();
  }

  /** Lets go of the shell because the page was hidden for so long: the server keeps it, or it has to end. */
  letGo(seconds: number): void {
    if (!this.here) return;
    if (this.#stream?.detach()) {
      this.#lostAt = Date.now();
      this.#set({ phase: "away", away: "hidden", idleUntil: null, doubtful: false });
    } else {
      this.#end(hiddenEnding(seconds));
      this.#stream?.close();
    }
  }

  /** Somebody looks at the page again. */
  seen(): void {
    const { phase, away } = this.state.get();
    if (phase === "away" && away === "hidden") this.#stream?.attach();
    else this.#stream?.seen();
  }

  networkChanged(): void {
    this.#stream?.networkChanged();
  }

  networkGone(): void {
    this.#stream?.networkGone();
  }

  /** Tries at once to get back to the shell. */
  retry(): void {
    this.#stream?.retry();
    this.focus();
  }

  /** Takes the shell back from the window that has it. */
  takeBack(): void {
    const { sessionId } = this;
    const terminal = this.#terminal;
    if (this.state.get().phase !== "away" || !sessionId || !terminal) return;
    const kept = this.#back?.kind === "kept" ? (this.#back.screen?.offset ?? null) : null;
    const offset = this.#stream?.position ?? kept;
    this.#stopHoping();
    this.#set({ phase: "reconnecting", away: null, tries: 0 });
    this.#start({ kind: "attach", sessionId, token: null, offset, resumeSeconds: TAKE_OVER_SECONDS }, terminal);
    this.focus();
  }

  setCtrl(armed: boolean): void {
    this.#set({ ctrlArmed: armed });
    this.focus();
  }

  /** Ends the shell, if it is this page's, and takes its tab away. What was never seen here is left to the server. */
  dispose(): void {
    if (this.awaitsReload) this.#stream?.abandon();
    else if (!this.#closeKept()) this.#stream?.close();
    this.#tidy();
  }

  /** Takes the tab away without another word to the server, which ends the shell with the login. */
  abandon(): void {
    this.#stream?.abandon();
    this.#tidy();
  }

  #tidy(): void {
    this.#preparing?.abort();
    clearInterval(this.#progress);
    clearTimeout(this.#remark);
    this.#hold?.release();
    this.#stopHoping();
    this.#terminal?.dispose();
    this.#terminal = null;
    this.#early = null;
  }

  get #disposed(): boolean {
    return this.#terminal === null && this.#early === null;
  }

  /** Does something to the terminal, in order, as soon as it is there; `never` where it is not wanted any more. */
  #onTerminal(act: (terminal: TerminalView) => void, never: () => void = () => {}): void {
    if (this.#early) this.#early.push(act);
    else if (this.#terminal) act(this.#terminal);
    else never();
  }

  #load(): Promise<TerminalView> {
    this.#loading ??= this.#begin();
    return this.#loading;
  }

  async #begin(): Promise<TerminalView> {
    const back = this.#back?.kind === "kept" ? this.#back : null;
    // Beside the terminal's code: neither waits for the other.
    const sought = back && this.#comeTo(back);
    const { createTerminal } = await loadTerminal();
    const terminal = await createTerminal(this.#terminalEvents());
    if (this.#disposed) {
      terminal.dispose();
      return terminal;
    }
    this.#terminal = terminal;
    if (back?.screen) await terminal.draw(back.screen);
    await sought;
    const early = this.#early ?? [];
    this.#early = null;
    for (const act of early) act(terminal);
    return terminal;
  }

  #terminalEvents(): TerminalEvents {
    return {
      input: (bytes) => this.#input(bytes),
      resize: (cols, rows) => {
        this.#drawsUntil = Date.now() + DRAW_MS;
        this.#stream?.resize(cols, rows);
      },
      bell: () => this.#bell(),
      key: (use) => this.#host.key(use),
      copied: (ok) => this.#host.copied(ok),
      paste: (text) => this.#host.paste(this, text),
      clipboard: (text) => this.clipboard.ask(text),
      isSplit: () => this.#host.isSplit(),
    };
  }

  /** Sees whether the shell is still this tab's own, and comes back to it at once where it is known what it shows. */
  async #comeTo({ shell, screen }: Extract<Return, { kind: "kept" }>): Promise<void> {
    const hold = new Hold();
    const held = hold.take(shell.sessionId, LATE_MS);
    const soon = new Promise<false>((resolve) => setTimeout(resolve, SOON_MS, false));
    const ours = await Promise.race([held, soon]);
    if (ours && this.#closing && this.live) {
      this.#start(this.#beginning(this.target.container), screen ?? UNSEEN).close();
      hold.release();
    } else if (this.#disposed || !this.live) hold.release();
    else if (!ours) {
      this.#set({ phase: "away", away: "elsewhere" });
      this.#hoped = hold;
      void held.then((late) => late && this.#heldLate(hold));
    } else {
      this.#hold = hold;
      if (screen && !this.#stream && this.live) this.#start(this.#beginning(this.target.container), screen);
    }
  }

  #heldLate(hold: Hold): void {
    if (this.#hoped !== hold) return;
    this.#hoped = null;
    this.#hold = hold;
    this.#set({ phase: "reconnecting", away: null });
    this.wake();
  }

  /** It is held by another window for good, or is not wanted any more. */
  #stopHoping(): void {
    this.#hoped?.release();
    this.#hoped = null;
  }

  #connect(terminal: TerminalView): void {
    if (this.#stream || this.#preparing || this.#disposed || !this.live) return;
    const { debug, container } = this.target;
    if (debug && !this.#back) void this.#prepare(terminal, debug);
    else this.#start(this.#beginning(container), terminal);
  }

  /** Has a debug container made, then connects to that. */
  async #prepare(terminal: TerminalView, image: string): Promise<void> {
    this.#preparing = new AbortController();
    const { signal } = this.#preparing;
    try {
      const container = await startDebug({ ...this.target, image }, signal, (words) => this.#set({ preparing: words }));
      this.#set({ preparing: "" });
      if (!this.live || signal.aborted) return;
      terminal.note(`beside ${this.target.container}: ps shows its processes, /proc/PID/root its files`);
      this.#start(this.#beginning(container), terminal);
    } catch (thrown) {
      if (!signal.aborted) this.#end(thrown instanceof NotStarted ? thrown.ending : pageEnding);
    }
  }

  #beginning(container: string): Beginning {
    const { reason } = this.target;
    const back = this.#back;
    if (!back) return { kind: "open", container, reason, command: [], tty: true };
    if (back.kind === "takeOver") {
      const { sessionId } = back;
      return { kind: "attach", sessionId, token: null, offset: null, resumeSeconds: TAKE_OVER_SECONDS };
    }
    const { sessionId, token, resumeSeconds } = back.shell;
    return { kind: "attach", sessionId, token, resumeSeconds, offset: back.screen?.offset ?? null };
  }

  #start(begin: Beginning, { cols, rows }: Size): ExecStream {
    const replay = begin.kind === "attach" && begin.offset === null;
    const stream: ExecStream = new ExecStream({
      url: execUrl(this.target, window.location),
      begin,
      size: { cols, rows },
      openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as ExecSocket,
      handlers: {
        hello: (hello) => {
          if (replay && !this.state.get().hello) this.#onTerminal((terminal) => terminal.replay(REPLAY_MS));
          this.#hello(hello);
        },
        output: (bytes, parsed) => this.#output(bytes, parsed),
        gap: (gap, parsed) => this.#gap(gapNote(gap), parsed),
        idleWarning: (seconds) => this.#set({ idleUntil: Date.now() + seconds * 1000 }),
        doubt: (doubtful) => this.#set({ doubtful }),
        activity: () => this.#active(),
        reconnecting: (tries) => this.#reconnecting(tries),
        unanswered: () => this.#host.unanswered(),
        typingDropped: () => notify("What you typed meanwhile was not sent: somebody else has typed in this shell"),
        ended: (end) => this.#ended(end),
      },
    });
    this.#stream = stream;
    return stream;
  }

  #hello(hello: HelloFrame): void {
    const { connectedAt } = this.state.get();
    // The next request might come only much later, and the page would say till then that nobody answers.
    reachable.set(true);
    this.#lostAt = 0;
    this.#lastActivity = Date.now();
    this.#set({
      phase: "connected",
      hello,
      connectedAt: connectedAt || Date.now(),
      tries: 0,
      away: null,
      doubtful: false,
    });
    if (!this.#hold) this.#holdOn(hello.sessionId);
    if (hello.resumed) this.#say("same shell resumed");
    else if (this.#insteadOf) {
      this.#say("new shell");
      this.#onTerminal((terminal) => terminal.note(`new shell; the one before ended: ${this.#insteadOf}`));
    }
  }

  /** Whoever has it still in another window is being told that it was taken over, and lets go of it then. */
  #holdOn(sessionId: string): void {
    this.#hold = new Hold();
    void this.#hold.take(sessionId);
  }

  #say(remark: string): void {
    clearTimeout(this.#remark);
    this.#set({ remark });
    this.#remark = setTimeout(() => this.#set({ remark: "" }), REMARK_MS);
  }

  #reconnecting(tries: number): void {
    this.#lostAt ||= Date.now();
    this.#set({ phase: "reconnecting", away: null, tries, idleUntil: null, doubtful: false, remark: "" });
  }

  #input(typed: Uint8Array): void {
    const stream = this.#stream;
    if (!stream || !this.live) return;
    let bytes = typed;
    if (this.state.get().ctrlArmed) {
      bytes = armCtrl(typed);
      if (!isReport(typed)) this.#set({ ctrlArmed: false });
    }
    if (bytes.length === 1 && bytes[0] === INTERRUPT) this.#cancelPaste(stream);
    if (!stream.write(bytes)) {
      notify(`Not typed: only ${formatBytes(AWAY_BYTES)} are kept until the shell is connected again`);
    }
    if (this.connected && stream.unsent > 0) this.#watchProgress(stream);
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

  #output(bytes: Uint8Array, parsed: () => void): void {
    // A tab that was closed throws away what its shell still prints.
    this.#onTerminal((terminal) => terminal.write(bytes, parsed), parsed);
    if (!this.#inSight && Date.now() >= this.#drawsUntil) this.#set({ unread: true });
  }

  #gap(note: string, parsed: () => void): void {
    this.#onTerminal((terminal) => {
      if (!terminal.note(note, parsed)) notify(note);
    }, parsed);
  }

  #bell(): void {
    if (settings.get().bell && !this.#inSight) this.#set({ rang: true });
  }

  #active(): void {
    this.#lastActivity = Date.now();
    if (this.state.get().idleUntil !== null) this.#set({ idleUntil: null });
  }

  #ended(end: ExecEnd): void {
    if (end.kind === "said" && end.closed.reason === "taken_over") {
      this.#taken();
    } else if (end.kind === "gone") void this.#gone(end);
    else this.#over(end);
  }

  /** A shell that is still in the list of open ones is not gone: another window has taken it since, or it is not to be taken. */
  async #gone(end: ExecEnd): Promise<void> {
    const { sessionId: id, token } = this.#stream?.key ?? {};
    const open = await execSessions(AbortSignal.timeout(LIST_MS)).catch(() => null);
    if (this.#disposed) return;
    if (!open?.sessions?.some((session) => session.own && session.sessionId === id)) this.#over(end);
    else if (token) this.#taken();
    else this.#end(notTakenOver);
  }

  #over(end: ExecEnd): void {
    const ending = endingOf(end, this.#awayFor(), this.state.get().hello !== null);
    this.#end(ending);
    if (inTheWay(ending, this.target.cluster).length > 0) this.#host.capped(this);
  }

  #awayFor(): Away {
    const back = this.#back?.kind === "kept" ? this.#back.shell.resumeSeconds : 0;
    const known = this.#stream?.key?.resumeSeconds ?? (this.state.get().hello?.resumeSeconds || back);
    // Of one that is being taken over only this page knows how long it tries.
    const graceSeconds = this.#stream?.key?.token === null ? 0 : known;
    return { seconds: this.#lostAt === 0 ? 0 : (Date.now() - this.#lostAt) / 1000, graceSeconds };
  }

  /** Another window of the same person has it now. The terminal stays as it is, for it may be taken back. */
  #taken(): void {
    this.#hold?.release();
    this.#hold = null;
    this.#set({ phase: "away", away: "taken", idleUntil: null, waiting: 0, ctrlArmed: false, doubtful: false });
  }

  #end(ending: Ending): void {
    if (this.state.get().phase === "ended") return;
    this.#preparing?.abort();
    clearInterval(this.#progress);
    this.#hold?.release();
    this.#stopHoping();
    if (ending.code === "E_NO_SHELL") noteShellless(this.target, this.target.container);
    this.#set({
      phase: "ended",
      preparing: "",
      ending,
      endedAt: Date.now(),
      away: null,
      idleUntil: null,
      waiting: 0,
      ctrlArmed: false,
      remark: "",
    });
    const words = ending.exitCode === null ? ending.title : `${ending.title} (exit code ${ending.exitCode})`;
    this.#onTerminal((terminal) => terminal.end(words));
  }

  #set(change: Partial<ShellState>): void {
    const now = this.state.get();
    const same = (Object.keys(change) as (keyof ShellState)[]).every((key) => Object.is(now[key], change[key]));
    if (!same) this.state.set({ ...now, ...change });
  }
}
