import { INVISIBLE } from "../../lib/invisible.ts";
import { lookedInto, placeOf, type ShellTarget } from "./target.ts";

export const NAME_LIMIT = 64;

/** What someone typed as the name of a tab: one line of bounded length; empty means the pod's own. */
export function cleanName(typed: string): string {
  const line = typed.replace(INVISIBLE, " ").replace(/\s+/g, " ").trim();
  return [...line].slice(0, NAME_LIMIT).join("");
}

export interface Named {
  id: string;
  /** Given by its owner; empty: none. */
  name: string;
  /** Which of the shells in the same container this is. It stays when others close: a label that moves misleads. */
  number: number;
  target: Omit<ShellTarget, "reason">;
}

/** The number of a new shell beside the others in the same container. */
export function nextNumber(others: readonly Named[], target: Named["target"]): number {
  const alike = others.filter((other) => PARTS.every((part) => partOf(other.target, part) === partOf(target, part)));
  return 1 + Math.max(0, ...alike.map(({ number }) => number));
}

const PARTS = ["pod", "cluster", "namespace", "container"] as const;

function partOf(target: Named["target"], part: (typeof PARTS)[number]): string {
  return part === "container" ? placeOf(target) : target[part];
}

/**
 * What each tab is called: the name it was given, else its pod's, with what tells it from another pod of that name:
 * cluster, namespace, container, number; one that debugs says so first. No two shells that nobody named are called alike.
 */
export function tabNames(shells: readonly Named[]): Map<string, string> {
  return new Map(shells.map((shell) => [shell.id, shell.name || ownName(shell, shells)]));
}

function ownName({ target, number }: Named, shells: readonly Named[]): string {
  const alike = shells.filter((other) => !other.name && other.target.pod === target.pod);
  const [, ...telling] = PARTS;
  const parts = telling.filter((part) => alike.some((other) => partOf(other.target, part) !== partOf(target, part)));
  const debug = lookedInto(target) !== "";
  const rest = parts.filter((part) => !debug || part !== "container").map((part) => partOf(target, part));
  const name = [...(debug ? [placeOf(target)] : []), target.pod, ...rest].join(" · ");
  return number > 1 ? `${name} (${number})` : name;
}
