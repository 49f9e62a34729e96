import { Button } from "../../ui/Button.tsx";
import { Strip } from "../../ui/states.tsx";
import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";

/** What is done before the shell can be opened: its debug container comes up. */
export function Preparing({ shell }: { shell: Shell }) {
  const { preparing } = useStore(shell.state);
  if (!preparing) return null;
  return (
    <Strip tone="info">
      <span className="min-w-0 flex-1 wrap-anywhere">{preparing.replace(/\.$/, "")} …</span>
      <Button size="sm" onClick={() => shell.disconnect()}>
        Cancel
      </Button>
    </Strip>
  );
}
