import { clock } from "../../lib/clock.ts";
import { formatClock } from "../../lib/time.ts";
import { Button } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import type { Shell } from "./shell.ts";

/** Counts down to the moment when the server ends an idle shell. Any key in the shell stays as well. */
export function IdleBanner({ shell }: { shell: Shell }) {
  const { idleUntil } = useStore(shell.state);
  if (idleUntil === null) return null;
  return (
    <Banner tone="attention" asks>
      <span>
        Nothing was typed or printed here for a while. <Countdown until={idleUntil} />
      </span>
      <Button size="sm" onClick={() => shell.stay()}>
        Stay
      </Button>
    </Banner>
  );
}

/** Read out once; the seconds are for the eyes. */
function Countdown({ until }: { until: number }) {
  const now = useStore(clock);
  return (
    <>
      <span className="sr-only">This shell ends soon unless you stay.</span>
      <span aria-hidden data-testid="idle-countdown">
        This shell ends in <strong className="font-semibold">{formatClock(until - now)}</strong> unless you stay.
      </span>
    </>
  );
}
