import { Age } from "./Age.tsx";
import { Button } from "./Button.tsx";
import { type FaultText, Strip } from "./states.tsx";

interface StaleProps {
  /** What is old: "The pods". */
  what: string;
  /** When it was right, in milliseconds. */
  at: number;
  /** Why there is nothing newer; null where all is well. */
  fault: FaultText | null;
  retry(): void;
}

/** Says that what is shown below is old, how old, and why. */
export function Stale({ what, at, fault, retry }: StaleProps) {
  if (!fault) return null;
  return (
    <Strip tone="attention">
      <span>
        {what} shown here are <Age at={new Date(at).toISOString()} suffix=" old" />. {fault.title}: {fault.message}
      </span>
      <Button size="sm" onClick={retry}>
        Try again
      </Button>
    </Strip>
  );
}
