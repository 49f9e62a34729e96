import { formatBytes } from "../../lib/bytes.ts";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import type { Shell } from "./shell.ts";

/** A paste that the program takes in more slowly than it came. Read out once; how much of it waits is for the eyes. */
export function PasteProgress({ shell }: { shell: Shell }) {
  const { waiting } = useStore(shell.state);
  if (waiting === 0) return null;
  return (
    <Banner tone="info">
      <span className="sr-only">Your paste waits for the program to read. Ctrl+C drops what is left of it.</span>
      <span aria-hidden>{formatBytes(waiting)} of your paste wait for the program to read. Ctrl+C drops them.</span>
    </Banner>
  );
}
