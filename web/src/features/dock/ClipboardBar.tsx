import { formatBytes } from "../../lib/bytes.ts";
import { Button } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import { FirstLines } from "./FirstLines.tsx";
import type { Shell } from "./shell.ts";

/** A program wants the clipboard, or the browser refused what was allowed before. */
export function ClipboardBar({ shell }: { shell: Shell }) {
  const gate = shell.clipboard;
  const { asked } = useStore(gate.state);
  if (!asked) return null;
  const answer = (act: () => void) => () => {
    act();
    shell.focus();
  };
  return (
    <Banner tone="info" asks>
      <div className="max-w-120">
        <p>
          {asked.refused
            ? "A program in this shell set your clipboard while this page was not in front"
            : "A program in this shell wants to set your clipboard"}
          : <strong className="font-semibold whitespace-nowrap">{formatBytes(asked.bytes)}</strong>
        </p>
        <FirstLines text={asked.text} className="mt-1 max-h-24 whitespace-pre-wrap wrap-anywhere" />
      </div>
      <div className="flex flex-wrap gap-2">
        <Button size="sm" onClick={answer(() => gate.allowOnce())}>
          {asked.refused ? "Copy it now" : "Allow once"}
        </Button>
        {asked.refused ? null : (
          <Button size="sm" onClick={answer(() => gate.always())}>
            Always in this shell
          </Button>
        )}
        <Button size="sm" onClick={answer(() => gate.never())}>
          Never
        </Button>
      </div>
    </Banner>
  );
}
