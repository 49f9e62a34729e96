import { Columns3, Search, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { Combo } from "../../ui/Combo.tsx";
import { Kbd } from "../../ui/Kbd.tsx";
import { hasModifier, isTyping } from "../../ui/keys.ts";
import { Menu, MenuCheck } from "../../ui/Menu.tsx";
import { COLUMN_IDS, type ColumnId, LOOKS } from "./columns.ts";
import type { PodsSearch } from "./PodsPage.tsx";

interface ToolbarProps {
  search: PodsSearch;
  onSearch(change: PodsSearch): void;
  namespaces: string[];
  /** They could not be listed: names are typed instead. */
  namespacesIncomplete: boolean;
  count: { shown: number; all: number } | null;
  columns: { shown: readonly ColumnId[]; toggle(id: ColumnId, shown: boolean): void };
}

export function Toolbar({ search, onSearch, namespaces, namespacesIncomplete, count, columns }: ToolbarProps) {
  return (
    <div className="flex shrink-0 flex-wrap items-center gap-2 border-b border-line px-4 py-2">
      <h1 className="sr-only">Pods</h1>
      <Combo
        label="Namespace"
        value={search.ns ?? ""}
        emptyName="All namespaces"
        options={namespaces}
        freeText={namespacesIncomplete}
        onChange={(ns) => onSearch({ ns: ns || undefined })}
      />
      <FilterField value={search.q ?? ""} onChange={(q) => onSearch({ q: q || undefined })} />
      <span aria-live="polite" className="ml-auto text-xs text-muted">
        {count ? summary(count) : ""}
      </span>
      <Menu
        label="Columns"
        trigger={
          <button
            type="button"
            aria-label="Columns"
            title="Columns"
            className="inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text max-sm:hidden"
          >
            <Columns3 aria-hidden className="size-4" />
          </button>
        }
      >
        {COLUMN_IDS.filter((id) => id !== "name").map((id) => (
          <MenuCheck key={id} checked={columns.shown.includes(id)} onChange={(shown) => columns.toggle(id, shown)}>
            {LOOKS[id].title}
          </MenuCheck>
        ))}
      </Menu>
    </div>
  );
}

function summary({ shown, all }: { shown: number; all: number }): string {
  const total = `${all.toLocaleString()} ${all === 1 ? "pod" : "pods"}`;
  return shown === all ? total : `${shown.toLocaleString()} of ${total}`;
}

/** "/" puts the cursor here, Escape empties and leaves it. */
function FilterField({ value, onChange }: { value: string; onChange(value: string): void }) {
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
        aria-label="Filter pods"
        placeholder="Filter by name, status, node"
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
