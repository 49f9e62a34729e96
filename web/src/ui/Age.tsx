import { clock } from "../lib/clock.ts";
import { formatAbsolute, formatAge } from "../lib/time.ts";
import { useStore } from "./useStore.ts";

/** How long ago, with the whole time on hover. */
export function Age({ at, suffix = "" }: { at: string | null | undefined; suffix?: string }) {
  const now = useStore(clock);
  if (!at) return <span className="text-muted">–</span>;
  return (
    <time dateTime={at} title={formatAbsolute(at)}>
      {formatAge(at, now)}
      {suffix}
    </time>
  );
}
