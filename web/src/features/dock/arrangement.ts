/** Which shells there are, in the order of their tabs, and which of them show. Names only, so that it can be stored. */
export interface Arrangement {
  order: readonly string[];
  /** The shell that the keyboard is for; empty where there is none. */
  activeId: string;
  /** Left and right of a split; null: only the active one shows. The active one is always one of them. */
  panes: readonly [string, string] | null;
}

/** A shell comes into view: where it is already, else in the place of the active one. */
export function select(now: Arrangement, id: string): Arrangement {
  if (!now.order.includes(id)) return now;
  if (!now.panes || now.panes.includes(id)) return { ...now, activeId: id };
  return { ...put(now, now.activeId, id), activeId: id };
}

/** The tab after (or before) the active one, round the ends. */
export function neighbour(now: Arrangement, step: 1 | -1): string {
  const at = now.order.indexOf(now.activeId);
  return now.order[(at + step + now.order.length) % now.order.length] ?? "";
}

/** A new shell, after all others, in view. */
export function add(now: Arrangement, id: string): Arrangement {
  return select({ ...now, order: [...now.order, id] }, id);
}

/** `id` beside the active shell, and active. Beside itself nothing can be. */
export function showBeside(now: Arrangement, id: string): Arrangement {
  if (id === now.activeId || !now.order.includes(id)) return now;
  if (now.panes?.includes(id)) return { ...now, activeId: id };
  const left = now.panes?.[0] === now.activeId || !now.panes;
  return { ...now, activeId: id, panes: left ? [now.activeId, id] : [id, now.activeId] };
}

export function unsplit(now: Arrangement): Arrangement {
  return { ...now, panes: null };
}

/** Puts `id` where `at` shows; the two change places where both show. */
export function swapIn(now: Arrangement, at: string, id: string): Arrangement {
  if (at === id || !now.order.includes(id)) return now;
  if (!now.panes) return select(now, id);
  return { ...put(now, at, id), activeId: id };
}

/** One shell in the place of another: its tab, its pane, the keyboard. */
export function replace(now: Arrangement, old: string, fresh: string): Arrangement {
  const renamed = (id: string) => (id === old ? fresh : id);
  return {
    order: now.order.map(renamed),
    activeId: renamed(now.activeId),
    panes: now.panes ? [renamed(now.panes[0]), renamed(now.panes[1])] : null,
  };
}

/** A tab goes; the other pane takes the whole room, else the next tab comes into view. */
export function remove(now: Arrangement, id: string): Arrangement {
  const at = now.order.indexOf(id);
  const order = now.order.filter((other) => other !== id);
  const beside = now.panes?.includes(id) ? now.panes.find((other) => other !== id) : undefined;
  const next = beside ?? order[Math.min(at, order.length - 1)] ?? "";
  return {
    order,
    activeId: now.activeId === id ? next : now.activeId,
    panes: beside === undefined ? now.panes : null,
  };
}

/** Moves a tab to a place among the others; places beyond the ends are the ends. */
export function move(now: Arrangement, id: string, to: number): Arrangement {
  if (!now.order.includes(id)) return now;
  const order = now.order.filter((other) => other !== id);
  order.splice(Math.max(0, Math.min(to, order.length)), 0, id);
  return { ...now, order };
}

function put(now: Arrangement, at: string, id: string): Arrangement {
  if (!now.panes) return now;
  const [left, right] = now.panes;
  if (left === id || right === id) return { ...now, panes: [right, left] };
  return { ...now, panes: left === at ? [id, right] : [left, id] };
}
