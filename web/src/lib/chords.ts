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
