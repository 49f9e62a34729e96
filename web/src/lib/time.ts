const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** An age as kubectl prints it: 45s, 3m12s, 27m, 5h4m, 12d, 1y40d. */
export function formatAge(fromIso: string | null | undefined, now: number): string {
  const from = fromIso ? Date.parse(fromIso) : Number.NaN;
  if (Number.isNaN(from)) return "–";
  const s = Math.max(0, Math.floor((now - from) / 1000));
  if (s < 2 * MINUTE) return `${s}s`;
  if (s < 10 * MINUTE) return two(s, MINUTE, "m", 1, "s");
  if (s < 3 * HOUR) return `${Math.floor(s / MINUTE)}m`;
  if (s < 8 * HOUR) return two(s, HOUR, "h", MINUTE, "m");
  if (s < 2 * DAY) return `${Math.floor(s / HOUR)}h`;
  if (s < 8 * DAY) return two(s, DAY, "d", HOUR, "h");
  if (s < 2 * YEAR) return `${Math.floor(s / DAY)}d`;
  if (s < 8 * YEAR) return two(s, YEAR, "y", DAY, "d");
  return `${Math.floor(s / YEAR)}y`;
}

function two(s: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((s % big) / small);
  return `${Math.floor(s / big)}${bigUnit}${rest > 0 ? `${rest}${smallUnit}` : ""}`;
}

/** Long times are rounded up by this, so that the 30 days of just now are not 29. */
const NEARLY = (HOUR - MINUTE) * 1000;

/** How long until then, in the same form; "0s" for what is past. */
export function formatLeft(untilIso: string, now: number): string {
  const until = Date.parse(untilIso);
  const long = until - now > 2 * HOUR * 1000;
  return formatAge(new Date(now).toISOString(), long ? until + NEARLY : until);
}

/** A duration as a clock: 02:14, 1:02:14. */
export function formatClock(milliseconds: number): string {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  const mm = String(Math.floor((s % HOUR) / MINUTE)).padStart(2, "0");
  const ss = String(s % MINUTE).padStart(2, "0");
  return s >= HOUR ? `${Math.floor(s / HOUR)}:${mm}:${ss}` : `${mm}:${ss}`;
}

// Kept: to make one costs more than all else that a row of a table does.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The whole time in the reader's zone, and in UTC, for a tooltip. */
export function formatAbsolute(iso: string | null | undefined): string {
  const time = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(time)) return "time unknown";
  const date = new Date(time);
  return `${local.format(date)} (${date.toISOString().slice(0, 19).replace("T", " ")} UTC)`;
}

const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A time in a sentence, in the reader's zone: the clock's time of today, with the date of any other day. */
export function formatWhen(iso: string, now = Date.now()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "a time unknown";
  const today = date.toDateString() === new Date(now).toDateString();
  return (today ? clockTime : local).format(date);
}
