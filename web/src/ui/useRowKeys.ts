import { useEffect, useEffectEvent, useState } from "react";
import { hasModifier, isTyping } from "./keys.ts";

interface RowKeys {
  ids: readonly string[];
  /** Where the cursor is at first; on none where it is not said. */
  initial?: string;
  reveal(index: number): void;
  open(index: number): void;
  /** What further keys do with the row under the cursor: once, however long they are held. */
  actions: Record<string, (index: number) => void>;
}

const STEPS: Record<string, number> = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

/** Moves a cursor over the rows by keyboard; it stays with its row when the order changes. -1: on none. */
export function useRowKeys({ ids, initial = "", reveal, open, actions }: RowKeys): number {
  const [id, setId] = useState(initial);
  const cursor = ids.indexOf(id);

  const move = (step: number) => {
    const next = Math.max(0, Math.min(ids.length - 1, cursor + step));
    const nextId = ids[next];
    if (nextId === undefined) return;
    setId(nextId);
    reveal(next);
  };
  const key = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || hasModifier(event) || isTyping(event.target)) return;
    const step = STEPS[event.key];
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : undefined;
    const onControl = event.target instanceof Element && event.target.closest("a, button") !== null;
    if (step) move(step);
    else if (action && cursor >= 0) {
      if (!event.repeat) action(cursor);
    } else if (event.key === "Enter" && cursor >= 0 && !onControl) open(cursor);
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
  return cursor;
}
