import { Search, X } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { Kbd } from "./Kbd.tsx";
import { hasModifier, isComposing, isTyping } from "./keys.ts";

interface FilterFieldProps {
  label: string;
  placeholder: string;
  value: string;
  onChange(value: string): void;
}

/** "/" puts the cursor here, Escape empties and leaves it. */
export function FilterField({ label, placeholder, value, onChange }: FilterFieldProps) {
  const input = useRef<HTMLInputElement>(null);
  const { text, type, ...following } = useTyped(value, onChange);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key !== "/" || hasModifier(event) || isTyping(event.target)) return;
      event.preventDefault();
      input.current?.select();
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
  return (
    <div className="relative flex min-w-48 flex-1 items-center sm:max-w-80">
      <Search aria-hidden className="pointer-events-none absolute left-2.5 size-3.5 text-muted" />
      <input
        ref={input}
        type="text"
        aria-label={label}
        placeholder={placeholder}
        value={text}
        onChange={(event) => type(event.target.value)}
        {...following}
        onKeyDown={(event) => {
          // The keys of what is being composed out of several are not the field's.
          if (isComposing(event.nativeEvent)) return;
          if (event.key === "Enter") input.current?.blur();
          if (event.key !== "Escape") return;
          type("");
          input.current?.blur();
        }}
        className="h-8 w-full rounded-md border border-line-strong bg-surface pr-8 pl-8 text-sm placeholder:text-muted"
      />
      <span className="absolute right-1.5">
        {text ? (
          <button
            type="button"
            aria-label="Clear the filter"
            onClick={() => type("")}
            className="flex size-6 items-center justify-center rounded text-muted hover:bg-hover"
          >
            <X aria-hidden className="size-3.5" />
          </button>
        ) : (
          <span aria-hidden className="max-sm:hidden">
            <Kbd keys="/" />
          </span>
        )}
      </span>
    </div>
  );
}

/**
 * What stands in the field. It is shown at once: what was typed comes back as `value` only once the address has it, and a field
 * that waited for that would be written anew, with its cursor at the end. Any other `value` is taken over.
 */
function useTyped(value: string, onChange: (value: string) => void) {
  const [text, setText] = useState(value);
  /** What has not come back yet. */
  const sent = useRef<string[]>([]);
  const composing = useRef(false);
  useLayoutEffect(() => {
    const at = sent.current.lastIndexOf(value);
    if (at < 0 && !composing.current) setText(value);
    sent.current = at < 0 ? [] : sent.current.slice(at + 1);
  }, [value]);
  return {
    text,
    type: (typed: string) => {
      setText(typed);
      sent.current.push(typed);
      onChange(typed);
    },
    onCompositionStart: () => {
      composing.current = true;
    },
    onCompositionEnd: () => {
      composing.current = false;
    },
    onBlur: () => {
      if (sent.current.length === 0) setText(value);
      sent.current = [];
    },
  };
}
