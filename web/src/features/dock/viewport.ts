/** Keeps two lengths of the page true: what the soft keyboard covers, and how far the seen part has moved down. */
export function watchKeyboard(): () => void {
  const seen = window.visualViewport;
  if (!seen) return () => {};
  const root = document.documentElement.style;
  const changed = () => {
    // A page that is zoomed shows a part of itself too, and no keyboard covers the rest.
    const zoomed = seen.scale > 1.01;
    const top = zoomed ? 0 : Math.max(0, seen.offsetTop);
    const covered = zoomed ? 0 : Math.max(0, window.innerHeight - seen.height - top);
    root.setProperty("--seen-top", `${Math.round(top)}px`);
    root.setProperty("--keyboard", `${Math.round(covered)}px`);
  };
  changed();
  seen.addEventListener("resize", changed);
  seen.addEventListener("scroll", changed);
  return () => {
    seen.removeEventListener("resize", changed);
    seen.removeEventListener("scroll", changed);
    root.removeProperty("--seen-top");
    root.removeProperty("--keyboard");
  };
}
