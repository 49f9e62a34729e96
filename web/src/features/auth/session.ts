import { authConfig, devLogin, logout, whoami } from "../../api/endpoints.ts";
import { asFault } from "../../api/fault.ts";
import type { AuthConfig, Whoami } from "../../api/types.ts";
import { Store } from "../../lib/store.ts";

/** Who is at the page. `out` says how to come in; `failed` that the server could not be asked. */
export type SessionState =
  | { phase: "checking" }
  | { phase: "in"; who: Whoami }
  | { phase: "out"; config: AuthConfig; message: string }
  | { phase: "failed"; error: unknown };

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
    session.set({ phase: "failed", error });
  }
}

async function enter(code: string): Promise<SessionState> {
  if (code) {
    const byCode = await tryEnter(() => devLogin(code));
    if (byCode.who) return { phase: "in", who: byCode.who };
    const byCookie = await tryEnter(whoami);
    if (byCookie.who) return { phase: "in", who: byCookie.who };
    return { phase: "out", config: await authConfig(), message: byCode.refused };
  }
  // Asked beside the other, as most of a first visit is waiting for answers.
  const asked = authConfig();
  asked.catch(() => undefined);
  const byCookie = await tryEnter(whoami);
  if (byCookie.who) return { phase: "in", who: byCookie.who };
  const config = await asked;
  if (config.mode !== "dev" || config.codeRequired) return { phase: "out", config, message: "" };
  const free = await tryEnter(() => devLogin(""));
  return free.who ? { phase: "in", who: free.who } : { phase: "out", config, message: free.refused };
}

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

let rechecking = false;

/** The server said that the login is over: ask again what is needed now. That asking is refused as well, which must not ask again. */
export async function recheck(): Promise<void> {
  if (rechecking || session.get().phase !== "in") return;
  rechecking = true;
  await signIn("");
  rechecking = false;
}

export async function signOut(): Promise<void> {
  try {
    await logout();
    session.set({ phase: "out", config: await authConfig(), message: "You are signed out." });
  } catch (error) {
    session.set({ phase: "failed", error });
  }
}
