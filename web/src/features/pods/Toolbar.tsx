import { Columns3 } from "lucide-react";
import { Combo } from "../../ui/Combo.tsx";
import { FilterField } from "../../ui/FilterField.tsx";
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
  /** What holds for all of them, such as that no shell can be opened. */
  note: string;
  columns: { shown: readonly ColumnId[]; toggle(id: ColumnId, shown: boolean): void };
}

export function Toolbar({ search, onSearch, namespaces, namespacesIncomplete, count, note, columns }: ToolbarProps) {
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
      <FilterField
        label="Filter pods"
        placeholder="Filter by name, status, node"
        value={search.q ?? ""}
        onChange={(q) => onSearch({ q: q || undefined })}
      />
      {note ? <span className="text-xs text-muted">{note}</span> : null}
      <span aria-live="polite" className="ml-auto text-xs text-muted max-sm:empty:-ml-2">
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
