import { authConfig, devLogin, logout, logoutEverywhere, whoami } from "../../api/endpoints.ts";
import { asFault } from "../../api/fault.ts";
import { askWho, stopAsking, toldWho } from "../../api/login.ts";
import type { AuthConfig, LoggedOut, LoginFailure, Whoami } from "../../api/types.ts";
import { Store } from "../../lib/store.ts";

/**
 * Who is at the page. `out` says how to come in; `failed` that the server could not be asked; `held` that the login did not
 * end, though it was to. `again` repeats what failed, and nothing else: trying to leave again must not sign in.
 */
export type SessionState =
  | { phase: "checking" }
  | { phase: "in"; who: Whoami }
  | { phase: "out"; config: AuthConfig; message: string; failure: LoginFailure | null }
  | { phase: "failed"; error: unknown; again(): Promise<void> }
  | { phase: "held"; error: unknown; everywhere: boolean; again(): Promise<void> };

export const session = new Store<SessionState>({ phase: "checking" });

const CODE = /^#code=([^&]*)/;

/** The one-time code in the address, if any. It is taken out of the address at once, so that it is in no history and no link. */
export function takeCode(location: Location, history: History): string {
  const found = CODE.exec(location.hash)?.[1];
  if (found === undefined) return "";
  history.replaceState(history.state, "", location.pathname + location.search);
  try {
    return decodeURIComponent(found);
  } catch {
    return found;
  }
}

/** Signs in with what is there: the code, the cookie, or nothing where nothing is needed. */
export async function signIn(code: string): Promise<void> {
  try {
    session.set(await enter(code));
  } catch (error) {
    session.set({ phase: "failed", error, again: () => signIn(code) });
  }
}

async function enter(code: string): Promise<SessionState> {
  if (code) {
    const byCode = await tryEnter(() => devLogin(code));
    if (byCode.who) return { phase: "in", who: byCode.who };
    const byCookie = await tryEnter(whoami);
    if (byCookie.who) return { phase: "in", who: byCookie.who };
    return out(await authConfig(), byCode.refused);
  }
  // Asked beside the other, as most of a first visit is waiting for answers.
  const asked = authConfig();
  asked.catch(() => undefined);
  const byCookie = await tryEnter(whoami);
  if (byCookie.who) return { phase: "in", who: byCookie.who };
  const config = await asked;
  if (config.mode !== "dev" || config.codeRequired) return out(config, "");
  const free = await tryEnter(() => devLogin(""));
  return free.who ? { phase: "in", who: free.who } : out(config, free.refused);
}

const out = (config: AuthConfig, message: string): SessionState => ({
  phase: "out",
  config,
  message,
  failure: config.failure,
});

/** A refusal is an answer; anything else is a failure. */
async function tryEnter(ask: () => Promise<Whoami>): Promise<{ who: Whoami | null; refused: string }> {
  try {
    return { who: await ask(), refused: "" };
  } catch (error) {
    const fault = asFault(error);
    if (fault.status !== 401) throw error;
    return { who: null, refused: fault.message };
  }
}

type Page = Pick<Location, "reload">;

/**
 * Where the login is another person's by now, or gives other rights, the page is loaded anew, whoever asked, and also where
 * a sign-in ended or failed in between. One that is kept after all, to finish a copy, says whose it is and does not ask for ever.
 */
function followWho(page: Page): () => void {
  let before = whoIsIn();
  return session.watch(() => {
    const now = whoIsIn();
    if (!now) return;
    const same = !before || isSame(before, now);
    before = now;
    if (!same) page.reload();
  });
}

function whoIsIn(): Whoami | null {
  const state = session.get();
  return state.phase === "in" ? state.who : null;
}

function isSame(a: Whoami, b: Whoami): boolean {
  return a.subject === b.subject && a.email === b.email && a.tier === b.tier && a.admin === b.admin;
}

/**
 * Another tab of this browser may sign out, and in as somebody else: the login is the browser's, and every list and shell of
 * this page would be theirs. So it is asked again whenever one comes back to the page. Returns the function that ends it.
 */
export function followLogin(page: Page = window.location): () => void {
  const returned = () => {
    if (!document.hidden && session.get().phase === "in") askWho();
  };
  const stop = followWho(page);
  const stopTold = toldWho.watch(() => {
    const [before, who] = [whoIsIn(), toldWho.get()];
    if (before && who && !isSame(before, who)) session.set({ phase: "in", who });
  });
  window.addEventListener("focus", returned);
  document.addEventListener("visibilitychange", returned);
  return () => {
    stop();
    stopTold();
    stopAsking();
    window.removeEventListener("focus", returned);
    document.removeEventListener("visibilitychange", returned);
  };
}

const ENDED = "Your sign-in has ended, and your shells with it.";

let rechecking = false;
/** Whoever leaves knows what to say of it, and wants nobody signed in again. */
let leaving = false;

/** The server said that the login is over: ask again what is needed now. That asking is refused as well, which must not ask again. */
export async function recheck(): Promise<void> {
  const before = session.get();
  if (rechecking || leaving || before.phase !== "in") return;
  rechecking = true;
  await signIn("");
  const now = session.get();
  if (now.phase === "out" && !now.message && !now.failure) {
    session.set({ ...now, message: ENDED });
  }
  rechecking = false;
}

export const signOut = (location: Pick<Location, "assign"> = window.location) => leave(false, location);

/** Ends every login of this person, and their shells. */
export const signOutEverywhere = () => leave(true, window.location);

async function leave(everywhere: boolean, location: Pick<Location, "assign">): Promise<void> {
  leaving = true;
  await end(everywhere, location);
  leaving = false;
}

/** Ends the login here, and goes on to end it at the provider too: or the next click would sign straight in again. */
async function end(everywhere: boolean, location: Pick<Location, "assign">): Promise<void> {
  let left: LoggedOut;
  try {
    left = await (everywhere ? logoutEverywhere() : logout());
  } catch (error) {
    const fault = asFault(error);
    if (fault.status === 401) await showOut(ENDED);
    else if (everywhere && fault.fromServer && (await hasEnded())) await showOut(fault.message);
    else session.set({ phase: "held", error, everywhere, again: () => leave(everywhere, location) });
    return;
  }
  if (left.redirect) location.assign(left.redirect);
  else await showOut("You are signed out.");
}

/** The logins may have ended where something else that was to end with them has not. */
async function hasEnded(): Promise<boolean> {
  try {
    await whoami();
    return false;
  } catch (error) {
    return asFault(error).status === 401;
  }
}

/** Shows the way in without taking it. */
async function showOut(message: string): Promise<void> {
  try {
    session.set(out(await authConfig(), message));
  } catch (error) {
    session.set({ phase: "failed", error, again: () => showOut(message) });
  }
}
