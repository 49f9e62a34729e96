import { Button } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import type { Shell, ShellState } from "./shell.ts";
import { requestClose } from "./store.ts";

/** While a shell lives and is not connected here: what is being done about it, and what its owner can do. */
export function ComebackBanner({ shell }: { shell: Shell }) {
  const state = useStore(shell.state);
  if (!isApart(state)) return null;
  return (
    <Banner tone={state.phase === "reconnecting" ? "attention" : "info"} asks>
      <Words state={state} />
      <Actions shell={shell} state={state} />
    </Banner>
  );
}

/** The first try is mostly over before anybody could read about it. */
function isApart({ phase, tries }: ShellState): boolean {
  return phase === "away" || (phase === "reconnecting" && tries > 1);
}

function Words({ state: { phase, away } }: { state: ShellState }) {
  if (phase === "reconnecting") {
    return <span>Connection lost. The shell goes on, and what you type is kept.</span>;
  }
  if (away === "taken") return <span>You took this shell over in another window, where it goes on.</span>;
  if (away === "elsewhere") return <span>This shell is open in another window of this browser.</span>;
  return <span>Paused while the page was hidden. The shell goes on without it.</span>;
}

function Actions({ shell, state: { phase, away } }: { shell: Shell; state: ShellState }) {
  if (phase === "reconnecting") {
    return (
      <Button size="sm" onClick={() => shell.retry()}>
        Reconnect now
      </Button>
    );
  }
  if (away === "hidden") {
    return (
      <Button size="sm" onClick={() => shell.seen()}>
        Continue
      </Button>
    );
  }
  return (
    <>
      <Button size="sm" onClick={() => shell.takeBack()}>
        {away === "taken" ? "Take it back" : "Open here"}
      </Button>
      <Button size="sm" onClick={() => requestClose(shell)}>
        Close
      </Button>
    </>
  );
}
