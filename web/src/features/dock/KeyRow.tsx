import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";

const KEYS: { label: string; name: string; plain: string; application?: string }[] = [
  { label: "Esc", name: "Escape", plain: "\x1b" },
  { label: "Tab", name: "Tab", plain: "\t" },
  { label: "↑", name: "Up", plain: "\x1b[A", application: "\x1bOA" },
  { label: "↓", name: "Down", plain: "\x1b[B", application: "\x1bOB" },
  { label: "←", name: "Left", plain: "\x1b[D", application: "\x1bOD" },
  { label: "→", name: "Right", plain: "\x1b[C", application: "\x1bOC" },
  { label: "|", name: "Pipe", plain: "|" },
  { label: "/", name: "Slash", plain: "/" },
  { label: "-", name: "Dash", plain: "-" },
];

const KEY =
  "flex h-9 min-w-9 flex-1 items-center justify-center rounded border border-line-strong bg-raised px-1 font-mono text-xs aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent";

/** The keys that a phone's own keyboard lacks. */
export function KeyRow({ shell }: { shell: Shell }) {
  const { phase, ctrlArmed } = useStore(shell.state);
  if (phase === "ended") return null;
  const type = (key: (typeof KEYS)[number]) => {
    const terminal = shell.terminal;
    terminal?.type(terminal.applicationCursorKeys ? (key.application ?? key.plain) : key.plain);
    terminal?.focus();
  };
  return (
    <div
      role="toolbar"
      aria-label="Terminal keys"
      className="hidden shrink-0 gap-1 border-t border-line bg-bg p-1 pointer-coarse:flex max-sm:flex"
    >
      <button type="button" aria-pressed={ctrlArmed} onClick={() => shell.setCtrl(!ctrlArmed)} className={KEY}>
        Ctrl
      </button>
      {KEYS.map((key) => (
        <button key={key.name} type="button" aria-label={key.name} onClick={() => type(key)} className={KEY}>
          {key.label}
        </button>
      ))}
    </div>
  );
}
