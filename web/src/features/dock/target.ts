/** Where a shell is to be. */
export interface ShellTarget {
  cluster: string;
  namespace: string;
  pod: string;
  container: string;
  /** Why the shell is opened, where the cluster wants to know. */
  reason: string;
  /** The image of a debug container: the shell is opened in that, and `container` is the one to look into. */
  debug?: string;
  /** `container` is a debug container that is there already; this is the one it looks into. */
  of?: string;
}

/** The container that a debug shell looks into; empty for any other shell. */
export function lookedInto({ container, debug, of }: Pick<ShellTarget, "container" | "debug" | "of">): string {
  return of || (debug ? container : "");
}

/** What people call the place of a shell in its pod: its container, or for what it debugs. */
export function placeOf(target: Pick<ShellTarget, "container" | "debug" | "of">): string {
  const into = lookedInto(target);
  return into ? `debug · ${into}` : target.container;
}
