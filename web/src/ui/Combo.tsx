import { Check, ChevronsUpDown } from "lucide-react";
import { Popover } from "radix-ui";
import { type KeyboardEvent, useId, useState } from "react";
import { matchScore, wordsOf } from "../lib/match.ts";
import { isComposing, unlessComposing } from "./keys.ts";

interface ComboProps {
  label: string;
  value: string;
  /** What the empty value is called: "All namespaces". */
  emptyName: string;
  options: readonly string[];
  onChange(value: string): void;
  /** The list may be incomplete: what was typed can be chosen as well. */
  freeText?: boolean;
}

const SHOWN = 200;

/** One choice out of many, found by typing. */
export function Combo(props: ComboProps) {
  const [open, setOpen] = useState(false);
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <button
          type="button"
          aria-label={`${props.label}: ${props.value || props.emptyName}`}
          className="inline-flex h-8 max-w-60 min-w-0 items-center gap-2 rounded-md border border-line-strong bg-surface px-2.5 text-sm hover:bg-hover"
        >
          <span className={`truncate ${props.value ? "font-mono text-xs" : ""}`}>{props.value || props.emptyName}</span>
          <ChevronsUpDown aria-hidden className="size-3.5 shrink-0 text-muted" />
        </button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          onEscapeKeyDown={unlessComposing}
          align="start"
          sideOffset={4}
          collisionPadding={8}
          aria-label={props.label}
          className="z-50 w-72 animate-fade overflow-hidden rounded-md border border-line bg-raised shadow-(--shadow)"
        >
          <ComboList {...props} onDone={() => setOpen(false)} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function candidates({ options, freeText }: ComboProps, typed: string): string[] {
  const words = wordsOf(typed);
  if (words.length === 0) return ["", ...options].slice(0, SHOWN);
  const found = options
    .map((option) => ({ option, score: matchScore(option.toLowerCase(), words) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ option }) => option)
    .slice(0, SHOWN);
  const own = typed.trim();
  return freeText && !found.includes(own) ? [...found, own] : found;
}

function ComboList({ onDone, ...props }: ComboProps & { onDone(): void }) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const shown = candidates(props, typed);
  const [at, setAt] = useState(() => Math.max(0, shown.indexOf(props.value)));
  const cursor = Math.min(at, shown.length - 1);

  const choose = (value: string | undefined) => {
    if (value === undefined) return;
    props.onChange(value);
    onDone();
  };
  const key = (event: KeyboardEvent) => {
    if (isComposing(event.nativeEvent)) return;
    const step = ({ ArrowDown: 1, ArrowUp: -1 } as Record<string, number>)[event.key];
    if (step) {
      event.preventDefault();
      const next = (cursor + step + shown.length) % Math.max(1, shown.length);
      setAt(next);
      document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(shown[cursor]);
    }
  };
  return (
    <>
      <input
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={shown.length > 0 ? `${id}-${cursor}` : undefined}
        aria-label={`Find ${props.label.toLowerCase()}`}
        placeholder="Type to find"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={key}
        className="h-9 w-full border-b border-line bg-transparent px-3 text-sm outline-none placeholder:text-muted"
      />
      <div id={id} role="listbox" aria-label={props.label} className="max-h-72 overflow-auto p-1">
        {shown.map((option, index) => (
          <div
            key={option}
            id={`${id}-${index}`}
            role="option"
            aria-selected={option === props.value}
            onClick={() => choose(option)}
            onPointerMove={() => setAt(index)}
            className={`flex h-8 items-center gap-2 rounded px-2 ${index === cursor ? "bg-hover" : ""}`}
          >
            <span className="flex size-4 items-center">
              {option === props.value ? <Check className="size-3.5" /> : null}
            </span>
            <span className={`truncate ${option ? "font-mono text-xs" : "text-sm"}`}>{option || props.emptyName}</span>
          </div>
        ))}
        {shown.length === 0 ? <p className="px-2 py-3 text-sm text-muted">Nothing matches.</p> : null}
      </div>
    </>
  );
}
