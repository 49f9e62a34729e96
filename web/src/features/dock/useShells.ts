import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useStore } from "../../ui/useStore.ts";
import { tabNames } from "./names.ts";
import type { Shell, ShellState } from "./shell.ts";
import { dock, named } from "./store.ts";

export interface SeenShell {
  shell: Shell;
  state: ShellState;
  /** What its tab is called. */
  name: string;
}

/** All shells with their states, in the order of their tabs; anew whenever one of them changes. */
export function useShells(): SeenShell[] {
  const { shells } = useStore(dock);
  const watch = useCallback(
    (listener: () => void) => {
      const stops = shells.map((shell) => shell.state.watch(listener));
      return () => {
        for (const stop of stops) stop();
      };
    },
    [shells],
  );
  const states = useSyncExternalStore(
    watch,
    useMemo(() => statesOf(shells), [shells]),
  );
  return useMemo(() => {
    const names = tabNames(named(shells));
    return shells.map((shell, at) => ({
      shell,
      state: states[at] ?? shell.state.get(),
      name: names.get(shell.id) ?? shell.target.pod,
    }));
  }, [shells, states]);
}

/** The same array as long as every state in it is the same. */
function statesOf(shells: readonly Shell[]): () => readonly ShellState[] {
  let last: readonly ShellState[] = [];
  return () => {
    const now = shells.map((shell) => shell.state.get());
    const same = now.length === last.length && now.every((state, at) => state === last[at]);
    if (!same) last = now;
    return last;
  };
}
