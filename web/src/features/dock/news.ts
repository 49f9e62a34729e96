import { setTitleMark } from "../../lib/title.ts";
import type { Shell } from "./shell.ts";
import { dock } from "./store.ts";

/** How many shells have something to see, and how many of them rang. */
export interface News {
  unread: number;
  rang: number;
}

export function newsOf(states: readonly { unread: boolean; rang: boolean }[]): News {
  return {
    unread: states.filter(({ unread, rang }) => unread || rang).length,
    rang: states.filter(({ rang }) => rang).length,
  };
}

/** Before the name of the browser's tab: a dot where a shell rang, the count of those with news. */
export function titleMark({ unread, rang }: News): string {
  return `${rang > 0 ? "● " : ""}${unread > 0 ? `(${unread}) ` : ""}`;
}

/** Keeps the mark in the browser's tab true, and takes marks away once the page is looked at again. */
export function watchNews(): () => void {
  let stops: (() => void)[] = [];
  let followed: readonly Shell[] = [];
  const tell = () => setTitleMark(titleMark(newsOf(dock.get().shells.map((shell) => shell.state.get()))));
  const follow = () => {
    const { shells } = dock.get();
    if (shells === followed) return;
    for (const stop of stops) stop();
    stops = shells.map((shell) => shell.state.watch(tell));
    followed = shells;
    tell();
  };
  const looked = () => {
    for (const shell of dock.get().shells) shell.clearMarks();
  };
  follow();
  const stopDock = dock.watch(follow);
  document.addEventListener("visibilitychange", looked);
  return () => {
    stopDock();
    for (const stop of stops) stop();
    setTitleMark("");
    document.removeEventListener("visibilitychange", looked);
  };
}
