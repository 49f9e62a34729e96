import type { ComponentProps } from "react";
import { Strip } from "../../ui/states.tsx";

/**
 * A remark that lies over the terminal, at the top, since the prompt is mostly at the bottom. To make the terminal
 * smaller would have the program paint its screen anew, which is output, and no shell would ever be idle.
 */
export function Banner({ asks = false, ...strip }: ComponentProps<typeof Strip> & { asks?: boolean }) {
  return (
    <div
      data-asks={asks ? "" : undefined}
      className="max-w-full animate-fade overflow-hidden rounded-md border border-line-strong shadow-(--shadow)"
    >
      <Strip {...strip} />
    </div>
  );
}
