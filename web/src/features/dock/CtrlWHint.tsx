import { Button } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import { ctrlWHint, endCtrlWHint } from "./ctrlW.ts";
import { toggleFullScreen } from "./fullscreen.ts";
import { focusActive } from "./store.ts";

export function CtrlWHint({ active }: { active: boolean }) {
  const shown = useStore(ctrlWHint);
  if (!shown || !active) return null;
  const end = (then: () => void) => () => {
    endCtrlWHint();
    focusActive();
    then();
  };
  return (
    <Banner tone="info" asks>
      <span className="max-w-120">
        Ctrl+W closes the browser’s tab; no page can change that. Ctrl+Backspace deletes a word here, and in full screen
        Ctrl+W reaches the shell.
      </span>
      <div className="flex flex-wrap gap-2">
        <Button size="sm" onClick={end(() => void toggleFullScreen())}>
          Full screen
        </Button>
        <Button size="sm" onClick={end(() => {})}>
          Got it
        </Button>
      </div>
    </Banner>
  );
}
