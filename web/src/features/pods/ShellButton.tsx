import { SquareTerminal } from "lucide-react";
import { notify } from "../../lib/notice.ts";
import { Button } from "../../ui/Button.tsx";
import { Tip } from "../../ui/Tip.tsx";

interface ShellButtonProps {
  /** Why it cannot be; empty where it can. */
  whyNot: string;
  pod: string;
  onOpen(): void;
  className?: string;
}

/** Stays focusable where no shell can be opened, so that everybody can read why; a finger, which hovers nowhere, by a tap. */
export function ShellButton({ whyNot, pod, onOpen, className = "" }: ShellButtonProps) {
  return (
    <Tip text={whyNot}>
      <Button
        size="sm"
        aria-disabled={whyNot !== ""}
        aria-label={`Open shell in ${pod}`}
        onClick={() => (whyNot ? notify(whyNot) : onOpen())}
        className={className}
      >
        <SquareTerminal aria-hidden className="size-3.5" />
        Shell
      </Button>
    </Tip>
  );
}
