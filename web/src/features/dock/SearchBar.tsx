import { ArrowDown, ArrowUp, CaseSensitive, X } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { IconButton } from "../../ui/Button.tsx";
import { isComposing } from "../../ui/keys.ts";
import type { Shell } from "./shell.ts";
import { setSearching } from "./store.ts";

export function SearchBar({ shell }: { shell: Shell }) {
  const search = shell.terminal?.search;
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [caseSensitive, setCaseSensitive] = useState(false);
  const [result, setResult] = useState({ index: -1, count: 0 });

  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    const stop = search?.watch(setResult);
    return () => {
      stop?.();
      search?.clear();
    };
  }, [search]);
  useEffect(() => {
    if (text) search?.next(text, caseSensitive, true);
    else search?.clear();
  }, [search, text, caseSensitive]);

  const key = (event: KeyboardEvent) => {
    if (isComposing(event.nativeEvent)) return;
    if (event.key === "Escape") setSearching(false);
    else if (event.key === "Enter" && event.shiftKey) search?.previous(text, caseSensitive);
    else if (event.key === "Enter") search?.next(text, caseSensitive);
  };
  return (
    <search className="absolute top-1 right-4 z-20 flex items-center gap-0.5 rounded-md border border-line-strong bg-raised p-1 shadow-(--shadow)">
      <input
        ref={input}
        aria-label="Find in terminal"
        placeholder="Find"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={key}
        className="h-7 w-44 rounded bg-transparent px-2 text-sm placeholder:text-muted"
      />
      <span aria-live="polite" className="min-w-16 px-1 text-right text-xs text-muted">
        {text ? summary(result) : ""}
      </span>
      <button
        type="button"
        aria-label="Match case"
        aria-pressed={caseSensitive}
        title="Match case"
        onClick={() => setCaseSensitive(!caseSensitive)}
        className="inline-flex size-7 items-center justify-center rounded-md text-muted hover:bg-hover aria-pressed:bg-accent-soft aria-pressed:text-accent"
      >
        <CaseSensitive aria-hidden className="size-4" />
      </button>
      <IconButton
        label="Previous match"
        keys="Shift+Enter"
        icon={<ArrowUp className="size-4" />}
        onClick={() => search?.previous(text, caseSensitive)}
      />
      <IconButton
        label="Next match"
        keys="Enter"
        icon={<ArrowDown className="size-4" />}
        onClick={() => search?.next(text, caseSensitive)}
      />
      <IconButton label="Close find" keys="Esc" icon={<X className="size-4" />} onClick={() => setSearching(false)} />
    </search>
  );
}

function summary({ index, count }: { index: number; count: number }): string {
  if (count === 0) return "none";
  return index < 0 ? `${count}` : `${index + 1} of ${count}`;
}
