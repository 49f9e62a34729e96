/** What the dock's own keys are for, wherever on the page they are pressed. */
export type DockUse = "toggleDock" | "pickShell" | "split" | "fullScreen" | "nextTab" | "previousTab";

interface Press {
  key: string;
  code: string;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/** The modifiers held, in one fixed order: Control, Shift, Alt, Meta. */
export function modifiers(press: Press): string {
  return (
    (press.ctrlKey ? "C" : "") + (press.shiftKey ? "S" : "") + (press.altKey ? "A" : "") + (press.metaKey ? "M" : "")
  );
}

/**
 * The letter that a key is in a chord: its own, or, where it writes another script, the one that stands in its place on
 * a Latin keyboard.
 */
export function letterOf({ key, code }: Pick<Press, "key" | "code">): string {
  const letter = key.toLowerCase();
  const latin = /^Key([A-Z])$/.exec(code)?.[1];
  return latin && letter.charCodeAt(0) > 0x7f ? latin.toLowerCase() : letter;
}

const SHIFTED: Record<string, DockUse> = {
  Backquote: "pickShell",
  Backslash: "split",
  Enter: "fullScreen",
  BracketRight: "nextTab",
  BracketLeft: "previousTab",
};

/** By the place of the key, not its letter: the same on every keyboard. */
export function dockUse(press: Press): DockUse | null {
  const mods = modifiers(press);
  if (mods === "C" && press.code === "Backquote") return "toggleDock";
  return mods === "CS" && Object.hasOwn(SHIFTED, press.code) ? (SHIFTED[press.code] ?? null) : null;
}
