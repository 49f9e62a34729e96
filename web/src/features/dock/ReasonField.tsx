import { useId } from "react";

/** What the server takes at most. */
const REASON_BYTES = 512;

function tooLong(reason: string): boolean {
  return new TextEncoder().encode(reason.trim()).length > REASON_BYTES;
}

/** Whether it says something, in no more than is taken. */
export function isReason(reason: string): boolean {
  return reason.trim() !== "" && !tooLong(reason);
}

interface ReasonFieldProps {
  value: string;
  onChange(value: string): void;
  focus: boolean;
}

/** One line: a field of one line drops the line ends of what is pasted into it. */
export function ReasonField({ value, onChange, focus }: ReasonFieldProps) {
  const note = useId();
  const long = tooLong(value);
  return (
    <div className="mt-4">
      <label>
        <span className="mb-1 block text-xs font-medium text-muted">Why are you here?</span>
        <input
          value={value}
          autoFocus={focus}
          autoComplete="off"
          placeholder="A ticket, an alert, a few words"
          aria-describedby={note}
          aria-invalid={long}
          onChange={(event) => onChange(event.target.value)}
          className="h-8 w-full rounded-md border border-line-strong bg-surface px-2 text-sm placeholder:text-muted aria-invalid:border-broken"
        />
      </label>
      <p id={note} role={long ? "alert" : undefined} className={`mt-1 text-xs ${long ? "text-broken" : "text-muted"}`}>
        {long
          ? "That is too long to be recorded. Shorten it to one line of at most 512 bytes."
          : "This cluster asks. It is written to audit and shown in the list of sessions."}
      </p>
    </div>
  );
}
