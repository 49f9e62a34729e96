import { useState } from "react";
import { readStored, writeStored } from "../../lib/storage.ts";
import { COLUMN_IDS, type ColumnId, isColumnId } from "./columns.ts";

const KEY = "periscope.podColumns";
const HIDDEN_AT_FIRST: ColumnId[] = ["ip"];

function readHidden(): ReadonlySet<ColumnId> {
  const stored = readStored(KEY);
  const names = stored === null ? HIDDEN_AT_FIRST : stored.split(",").filter(isColumnId);
  return new Set(names.filter((id) => id !== "name"));
}

/** Which columns this person wants to see; kept in the browser. */
export function useColumns() {
  const [hidden, setHidden] = useState(readHidden);
  const toggle = (id: ColumnId, shown: boolean) => {
    const next = new Set(hidden);
    if (shown) next.delete(id);
    else next.add(id);
    writeStored(KEY, [...next].join(","));
    setHidden(next);
  };
  return { shown: COLUMN_IDS.filter((id) => !hidden.has(id)), toggle };
}
