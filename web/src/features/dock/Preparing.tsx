import { Button } from "../../ui/Button.tsx";
import { Strip } from "../../ui/states.tsx";
import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";

/** What is done before the shell can be opened: its debug container comes up. A whole sentence is of what goes wrong meanwhile. */
export function Preparing({ shell }: { shell: Shell }) {
  const { preparing } = useStore(shell.state);
  if (!preparing) return null;
  const trouble = preparing.endsWith(".");
  return (
    <Strip tone={trouble ? "attention" : "info"}>
      <span className="min-w-0 flex-1 wrap-anywhere">{trouble ? preparing : `${preparing} …`}</span>
      <Button size="sm" onClick={() => shell.disconnect()}>
        Cancel
      </Button>
    </Strip>
  );
}
