import type { AccessToken, AccessTokenList, TokenScope } from "../../api/types.ts";
import type { Tone } from "../../lib/podStatus.ts";
import { formatLeft } from "../../lib/time.ts";

export const SCOPES: readonly { scope: TokenScope; name: string; what: string }[] = [
  { scope: "read", name: "Read", what: "See clusters, pods, events and your shells" },
  { scope: "exec", name: "Shells", what: "Open shells, and end your own" },
  { scope: "admin", name: "Administrator", what: "See and end everybody’s shells, as you may" },
];

/** One that this page does not know is called as the server does. */
export const scopeName = (wanted: string) => SCOPES.find(({ scope }) => scope === wanted)?.name ?? wanted;

const DAY = 24 * 3600;
const USUAL_DAYS = [1, 7, 30, 60, 90, 180, 365];
/** What is chosen at first: long enough for a script, short enough to be forgotten safely. */
const DEFAULT_SECONDS = 30 * DAY;
/** 0 is for ever, as the server takes it. */
export const FOREVER = 0;

export interface Lifetime {
  seconds: number;
  name: string;
}

/** The usual ones within the server's limit, and the limit itself. */
export function lifetimes({ maxLifetimeSeconds: most, noExpiry }: AccessTokenList["limits"]): Lifetime[] {
  const seconds = USUAL_DAYS.map((days) => days * DAY).filter((usual) => usual < most);
  const all = [...seconds, most].map((s) => ({ seconds: s, name: span(s) }));
  return noExpiry ? [...all, { seconds: FOREVER, name: "Never" }] : all;
}

export function defaultLifetime(most: number): number {
  return Math.min(DEFAULT_SECONDS, most);
}

function span(seconds: number): string {
  const [count, unit] = seconds % DAY === 0 ? [seconds / DAY, "day"] : [Math.round(seconds / 360) / 10, "hour"];
  return `${count.toLocaleString()} ${unit}${count === 1 ? "" : "s"}`;
}

/** As the server takes it: one line without blanks at its ends. */
const LONGEST_NAME = 64;

/** What is wrong with a name; empty where nothing is. */
export function nameFault(name: string, taken: readonly string[]): string {
  const wanted = name.trim();
  if ([...wanted].length > LONGEST_NAME) return `At most ${LONGEST_NAME} characters.`;
  if (taken.includes(wanted)) return "You have a token of this name. Choose another, or revoke that one first.";
  return "";
}

/** Warned of early enough to make another. */
const SOON_MS = 7 * DAY * 1000;

export function expiry({ expiresAt }: Pick<AccessToken, "expiresAt">, now: number): { tone: Tone; word: string } {
  if (!expiresAt) return { tone: "attention", word: "Never" };
  const left = Date.parse(expiresAt) - now;
  if (left <= 0) return { tone: "broken", word: "Expired" };
  return { tone: left < SOON_MS ? "attention" : "neutral", word: `in ${formatLeft(expiresAt, now)}` };
}

/** What to paste into a terminal. */
export function curlExample(secret: string, origin: string): string {
  return `export PERISCOPE_TOKEN=${secret}\ncurl -H "Authorization: Bearer $PERISCOPE_TOKEN" \\\n  ${origin}/api/clusters`;
}
