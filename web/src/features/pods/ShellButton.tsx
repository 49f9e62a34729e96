import { SquareTerminal } from "lucide-react";
import { Button } from "../../ui/Button.tsx";
import { Tip } from "../../ui/Tip.tsx";

interface ShellButtonProps {
  /** Why it cannot be; empty where it can. */
  whyNot: string;
  pod: string;
  onOpen(): void;
  className?: string;
}

/** Stays focusable where no shell can be opened, so that everybody can read why. */
export function ShellButton({ whyNot, pod, onOpen, className = "" }: ShellButtonProps) {
  return (
    <Tip text={whyNot}>
      <Button
        size="sm"
        aria-disabled={whyNot !== ""}
        aria-label={`Open shell in ${pod}`}
        onClick={() => whyNot === "" && onOpen()}
        className={className}
      >
        <SquareTerminal aria-hidden className="size-3.5" />
        Shell
      </Button>
    </Tip>
  );
}
