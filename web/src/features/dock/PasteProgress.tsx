import { formatBytes } from "../../lib/bytes.ts";
import { useStore } from "../../ui/useStore.ts";
import { Banner } from "./Banner.tsx";
import type { Shell } from "./shell.ts";

/** A paste that the program takes in more slowly than it came. */
export function PasteProgress({ shell }: { shell: Shell }) {
  const { waiting } = useStore(shell.state);
  if (waiting === 0) return null;
  return (
    <Banner tone="info">
      <span>{formatBytes(waiting)} of your paste wait for the program to read. Ctrl+C drops them.</span>
    </Banner>
  );
}
