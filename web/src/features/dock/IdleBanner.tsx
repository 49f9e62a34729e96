import { clock } from "../../lib/clock.ts";
import { formatClock } from "../../lib/time.ts";
import { Button } from "../../ui/Button.tsx";
import { Strip } from "../../ui/states.tsx";
import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";

/** Counts down to the moment when the server ends an idle shell. */
export function IdleBanner({ shell }: { shell: Shell }) {
  const { idleUntil } = useStore(shell.state);
  if (idleUntil === null) return null;
  return (
    <Strip tone="attention">
      <span>
        Nothing has happened here for a while. This shell ends in <Countdown until={idleUntil} /> unless you type
        something.
      </span>
      <Button size="sm" onClick={() => shell.focus()}>
        Go to the shell
      </Button>
    </Strip>
  );
}

function Countdown({ until }: { until: number }) {
  const now = useStore(clock);
  return <strong className="font-semibold">{formatClock(until - now)}</strong>;
}
