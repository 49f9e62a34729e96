import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import { MIN_HEIGHT, setHeight } from "./store.ts";

const STEP = 24;
/** What stays of the page above the dock. */
const PAGE_MIN = 160;

function room(): number {
  return window.innerHeight - PAGE_MIN;
}

/** The dock's upper edge: dragged with the pointer, or moved with the arrow keys. */
export function ResizeHandle({ height }: { height: number }) {
  const drag = useRef<{ y: number; height: number } | null>(null);

  const start = (event: PointerEvent) => {
    drag.current = { y: event.clientY, height };
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    if (drag.current) setHeight(drag.current.height + drag.current.y - event.clientY, room());
  };
  const stop = () => {
    drag.current = null;
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setHeight(height + step, room());
  };

  return (
    <div
      role="separator"
      aria-orientation="horizontal"
      aria-label="Terminal height"
      aria-valuenow={height}
      aria-valuemin={MIN_HEIGHT}
      tabIndex={0}
      onPointerDown={start}
      onPointerMove={move}
      onPointerUp={stop}
      onPointerCancel={stop}
      onKeyDown={key}
      className="absolute inset-x-0 -top-1 z-10 h-2 cursor-ns-resize touch-none hover:bg-accent/40 max-sm:hidden"
    />
  );
}
