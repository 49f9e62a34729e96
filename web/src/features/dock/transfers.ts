import { reachable } from "../../api/client.ts";
import { execUrl } from "../../api/endpoints.ts";
import { notify } from "../../lib/notice.ts";
import { Store } from "../../lib/store.ts";
import type { ExecEnd } from "../../stream/exec.ts";
import { type CopyEnd, type CopySink, type CopySource, FileCopy } from "../../stream/files.ts";
import type { CarriedFile, FoundFile } from "../../stream/frames.ts";
import type { ExecSocket } from "../../stream/link.ts";
import { endingOf } from "./ending.ts";
import { asksWhere, fileSink, heldSink, nameHere, savePicker } from "./landing.ts";
import { checkLogin } from "./login.ts";
import type { ShellTarget } from "./target.ts";

/** Where a file is copied to or from. */
export type Place = Pick<ShellTarget, "cluster" | "namespace" | "pod" | "container" | "reason">;

/** What is uploaded: a file, or a folder as the archive of what is in it. */
export interface Upload extends Pick<Blob, "size" | "slice"> {
  readonly name: string;
  readonly folder?: boolean;
}

/** One file that is wanted here or there. */
export type CopyWish =
  | { way: "up"; place: Place; path: string; file: Upload }
  | { way: "down"; place: Place; path: string };

export interface Trouble {
  /** What happened and what to do next. */
  why: string;
  requestId: string;
}

export interface TransferState {
  phase: "queued" | "opening" | "running" | "reconnecting" | "done" | "failed" | "cancelled";
  name: string;
  bytes: number;
  /** Null while nobody knows it. */
  size: number | null;
  /** Bytes a second; null while there is nothing to tell. */
  rate: number | null;
  /** How often the page has tried to get back. */
  tries: number;
  /** It waits for its reader to say where it is saved. */
  asksWhere: boolean;
  trouble: Trouble | null;
  /** What was carried, once it is done. */
  carried: CarriedFile | null;
}

/** So many are on their way at once: each is a session of its own, and counts for the limits of shells. */
export const AT_ONCE = 2;
const PROGRESS_MS = 250;
/** The share of the newest measure in the rate that is shown. */
const FRESH = 0.25;

export const transfers = new Store<readonly Transfer[]>([]);

let count = 0;

/** One file on its way, with what the page shows of it. It belongs to no shell's tab, and goes on when that is closed. */
export class Transfer {
  readonly id = `transfer-${++count}`;
  readonly wish: CopyWish;
  readonly state: Store<TransferState>;
  /** What it is carried by, until it is known what has become of that: it may be over at the server, and not yet saved here. */
  #copy: FileCopy | null = null;
  /** The one for which the server has, or may have, a session. */
  #session: FileCopy | null = null;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #measured = { at: 0, bytes: 0 };
  #choose: (() => void) | null = null;

  constructor(wish: CopyWish) {
    this.wish = wish;
    this.state = new Store(fresh(wish));
  }

  get over(): boolean {
    const { phase } = this.state.get();
    return phase === "done" || phase === "failed" || phase === "cancelled";
  }

  /** Whether the server has, or may have, a session for it. */
  get busy(): boolean {
    return this.#session !== null;
  }

  start(): void {
    const { wish } = this;
    this.#set({ phase: "opening" });
    const copy: FileCopy = new FileCopy({
      url: execUrl(wish.place, window.location),
      container: wish.place.container,
      reason: wish.place.reason,
      file: { path: wish.path, name: wish.way === "up" && !wish.file.folder ? wish.file.name : "" },
      carries: wish.way === "up" ? { up: fileSource(wish.file) } : { down: (found) => this.#land(found) },
      openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as ExecSocket,
      events: {
        connected: () => this.#connected(),
        reconnecting: (tries) => this.#set({ phase: "reconnecting", tries, rate: null }),
        unanswered: checkLogin,
        ended: (end) => this.#ended(copy, end),
        released: (end) => this.#released(copy, end),
      },
    });
    this.#copy = copy;
    this.#session = copy;
  }

  /** Ends it, and has what was carried of it removed. */
  cancel(): void {
    if (this.over) return;
    this.#rest({ phase: "cancelled" });
    this.#copy?.cancel();
    next();
  }

  /** As `cancel`, without another word to the server where it cannot be reached. */
  abandon(): void {
    this.#rest({ phase: "cancelled" });
    (this.#copy ?? this.#session)?.abandon();
  }

  /** Keeps it from starting, where it has not yet, because the login is over. */
  unqueue(): void {
    if (this.state.get().phase === "queued") this.#rest({ phase: "failed", trouble: notBegun });
  }

  /** Copies all of it again. */
  again(): void {
    if (!this.over) return;
    this.state.set(fresh(this.wish));
    next();
  }

  /** Asks where to save it. The browser allows that only as the answer to a click. */
  chooseWhere(): void {
    this.#choose?.();
  }

  reconnect(): void {
    this.#session?.retry();
  }

  networkChanged(): void {
    this.#session?.networkChanged();
  }

  networkGone(): void {
    this.#session?.networkGone();
  }

  seen(): void {
    this.#session?.seen();
  }

  #connected(): void {
    reachable.set(true);
    this.#set({ phase: "running", tries: 0 });
    this.#measured = { at: Date.now(), bytes: this.#copy?.bytes ?? 0 };
    this.#ticking ??= setInterval(() => this.#tick(), PROGRESS_MS);
  }

  #tick(): void {
    const { phase, rate, asksWhere } = this.state.get();
    const bytes = this.#copy?.bytes ?? 0;
    const { at, bytes: before } = this.#measured;
    const now = Date.now();
    if (phase !== "running" || asksWhere || now <= at) return;
    const measured = ((bytes - before) * 1000) / (now - at);
    this.#measured = { at: now, bytes };
    this.#set({ bytes, rate: rate === null ? measured : rate + FRESH * (measured - rate) });
  }

  /** Where a download goes: to the browser's own folder, or to wherever the reader says. */
  async #land(found: FoundFile): Promise<CopySink> {
    const name = nameHere(this.wish.path, found.directory);
    this.#set({ name, size: found.size });
    const pick = asksWhere(found) ? savePicker() : null;
    if (!pick) return heldSink(name, found);
    this.#set({ asksWhere: true });
    return new Promise((resolve, reject) => {
      const choose = () => {
        pick({ suggestedName: name }).then(
          (handle) => {
            this.#chosen(choose);
            fileSink(handle).then(resolve, reject);
          },
          // Not answered, or asked too late after the last click: the button stays.
          () => undefined,
        );
      };
      this.#choose = choose;
      if (navigator.userActivation?.isActive) choose();
    });
  }

  /** An answer to a copy that was given up meanwhile is none to the one after it. */
  #chosen(choose: () => void): void {
    if (this.#choose !== choose) return;
    this.#choose = null;
    this.#set({ asksWhere: false });
  }

  #ended(copy: FileCopy, end: CopyEnd): void {
    if (this.#copy !== copy) return;
    this.#copy = null;
    if (end.kind === "done") {
      this.#rest({ phase: "done", bytes: end.file.bytes, size: end.file.bytes, carried: end.file });
      notify(`${this.wish.way === "up" ? "Uploaded" : "Downloaded"} ${this.state.get().name}`);
    } else {
      const trouble = end.kind === "failed" ? { why: end.why, requestId: "" } : troubleOf(end.end);
      this.#rest({ phase: "failed", bytes: copy.bytes, trouble });
    }
  }

  #rest(change: Partial<TransferState>): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    this.#choose = null;
    this.#set({ rate: null, tries: 0, asksWhere: false, ...change });
  }

  #released(copy: FileCopy, end: ExecEnd): void {
    if (this.#session !== copy) return;
    this.#session = null;
    // Whoever is signed in by now may be somebody else.
    if (endingOf(end).signIn) unqueueAll();
    next();
  }

  #set(change: Partial<TransferState>): void {
    // A word that comes late changes nothing of what is over.
    if (!this.over) this.state.update((state) => ({ ...state, ...change }));
  }
}

function fresh(wish: CopyWish): TransferState {
  return {
    phase: "queued",
    name: wish.way === "down" ? nameHere(wish.path, false) : `${wish.file.name}${wish.file.folder ? "/" : ""}`,
    bytes: 0,
    size: wish.way === "up" ? wish.file.size : null,
    rate: null,
    tries: 0,
    asksWhere: false,
    trouble: null,
    carried: null,
  };
}

function fileSource(file: Upload): CopySource {
  return {
    size: file.size,
    archive: file.folder ?? false,
    read: async (from, to) => new Uint8Array(await file.slice(from, to).arrayBuffer()),
  };
}

const signInFirst = "Sign in again, then press Retry.";
const notBegun: Trouble = { why: `Not begun: you were signed out. ${signInFirst}`, requestId: "" };

/** What a session's end means for the file in it. */
function troubleOf(end: ExecEnd): Trouble {
  if (end.kind === "said" || end.kind === "refused") {
    const { title, detail, next: then, signIn, requestId } = endingOf(end);
    return {
      why: [detail || `The copy ended: ${title}.`, signIn ? signInFirst : then].filter(Boolean).join(" "),
      requestId,
    };
  }
  return { why: WHY_ENDED[end.kind === "lost" && end.hadShell ? "cut" : end.kind], requestId: "" };
}

const WHY_ENDED = {
  cut: "The connection was lost, and this server waits for nobody to come back.",
  lost: "The server did not accept the connection, or a proxy in between does not let WebSockets through.",
  gone: "The server does not have the copy any more: it was restarted, or the copy was ended meanwhile.",
  unreached: "The server could not be reached for as long as it keeps a copy that waits.",
  left: "It was cancelled.",
};

/** Puts files into the queue. */
export function copyFiles(wishes: readonly CopyWish[]): void {
  transfers.update((now) => [...now, ...wishes.map((wish) => new Transfer(wish))]);
  next();
}

/** Starts what waits, as far as there is room. */
function next(): void {
  const all = transfers.get();
  let room = AT_ONCE - all.filter((transfer) => transfer.busy).length;
  for (const transfer of all) {
    if (room <= 0) return;
    if (transfer.state.get().phase !== "queued") continue;
    transfer.start();
    room--;
  }
}

/** Takes one that is over out of the list. */
export function dismiss(transfer: Transfer): void {
  if (transfer.over) transfers.update((now) => now.filter((other) => other !== transfer));
}

export function dismissAll(): void {
  transfers.update((now) => now.filter((transfer) => !transfer.over));
}

export function underWay(): Transfer[] {
  return transfers.get().filter((transfer) => !transfer.over);
}

/** What waits is not begun with the login of whoever signs in next. */
export function unqueueAll(): void {
  for (const transfer of transfers.get()) transfer.unqueue();
}

/** As on signing out. */
export function endAllTransfers(): void {
  const all = transfers.get();
  transfers.set([]);
  for (const transfer of all) transfer.abandon();
}
