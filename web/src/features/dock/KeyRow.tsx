import { ClipboardPaste } from "lucide-react";
import type { ReactNode } from "react";
import { notify } from "../../lib/notice.ts";
import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";
import { pasteInto } from "./store.ts";

interface Key {
  label: string;
  name: string;
  plain: string;
  /** Where a program asked for the other kind of cursor keys. */
  application?: string;
}

const KEYS: Key[] = [
  { label: "Tab", name: "Tab", plain: "\t" },
  { label: "↑", name: "Up", plain: "\x1b[A", application: "\x1bOA" },
  { label: "↓", name: "Down", plain: "\x1b[B", application: "\x1bOB" },
  { label: "←", name: "Left", plain: "\x1b[D", application: "\x1bOD" },
  { label: "→", name: "Right", plain: "\x1b[C", application: "\x1bOC" },
  { label: "|", name: "Pipe", plain: "|" },
  { label: "/", name: "Slash", plain: "/" },
  { label: "-", name: "Dash", plain: "-" },
  { label: "~", name: "Tilde", plain: "~" },
  { label: "Home", name: "Home", plain: "\x1b[H", application: "\x1bOH" },
  { label: "End", name: "End", plain: "\x1b[F", application: "\x1bOF" },
  { label: "PgUp", name: "Page up", plain: "\x1b[5~" },
  { label: "PgDn", name: "Page down", plain: "\x1b[6~" },
];

/** The keys that a phone's own keyboard lacks. They leave the focus where it is, and with it the soft keyboard. */
export function KeyRow({ shell }: { shell: Shell }) {
  const { phase, ctrlArmed } = useStore(shell.state);
  if (phase === "ended") return null;
  const type = ({ plain, application }: Key) => {
    const terminal = shell.terminal;
    terminal?.type(terminal.applicationCursorKeys ? (application ?? plain) : plain);
  };
  return (
    <div
      role="toolbar"
      aria-label="Terminal keys"
      className="hidden shrink-0 gap-1 overflow-x-auto overscroll-contain border-t border-line bg-bg p-1 [scrollbar-width:none] pointer-coarse:flex max-sm:flex"
    >
      <RowKey name="Escape" onPress={() => shell.terminal?.type("\x1b")}>
        Esc
      </RowKey>
      <RowKey pressed={ctrlArmed} onPress={() => shell.setCtrl(!ctrlArmed)}>
        Ctrl
      </RowKey>
      {KEYS.map((key) => (
        <RowKey key={key.name} name={key.name} onPress={() => type(key)}>
          {key.label}
        </RowKey>
      ))}
      <RowKey name="Paste" onPress={() => void pasteFromClipboard(shell)}>
        <ClipboardPaste aria-hidden className="size-4" />
      </RowKey>
    </div>
  );
}

interface RowKeyProps {
  /** Where the label is no word. */
  name?: string;
  pressed?: boolean;
  onPress(): void;
  children: ReactNode;
}

function RowKey({ name, pressed, onPress, children }: RowKeyProps) {
  return (
    <button
      type="button"
      aria-label={name}
      aria-pressed={pressed}
      // The focus would move on this event, and the soft keyboard close.
      onMouseDown={(event) => event.preventDefault()}
      onClick={onPress}
      className="flex h-10 min-w-10 flex-1 shrink-0 touch-manipulation items-center justify-center rounded border border-line-strong bg-raised px-2 font-mono text-xs select-none active:bg-hover aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent"
    >
      {children}
    </button>
  );
}

async function pasteFromClipboard(shell: Shell): Promise<void> {
  try {
    pasteInto(shell, await navigator.clipboard.readText());
  } catch {
    notify("The browser did not allow it: hold a finger on the terminal to paste");
  }
}
