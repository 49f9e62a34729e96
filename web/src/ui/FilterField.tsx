import { Search, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { Kbd } from "./Kbd.tsx";
import { hasModifier, isTyping } from "./keys.ts";

interface FilterFieldProps {
  label: string;
  placeholder: string;
  value: string;
  onChange(value: string): void;
}

/** "/" puts the cursor here, Escape empties and leaves it. */
export function FilterField({ label, placeholder, value, onChange }: FilterFieldProps) {
  const input = useRef<HTMLInputElement>(null);
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
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") input.current?.blur();
          if (event.key !== "Escape") return;
          onChange("");
          input.current?.blur();
        }}
        className="h-8 w-full rounded-md border border-line-strong bg-surface pr-8 pl-8 text-sm placeholder:text-muted"
      />
      <span className="absolute right-1.5">
        {value ? (
          <button
            type="button"
            aria-label="Clear the filter"
            onClick={() => onChange("")}
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
