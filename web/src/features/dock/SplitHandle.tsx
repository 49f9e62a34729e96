import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import { MIN_RATIO, setRatio } from "./store.ts";

const STEP = 0.02;
const PERCENT = 100;

/** Between two panes: dragged with the pointer, moved with the arrow keys, halved by a double click or Enter. */
export function SplitHandle({ ratio }: { ratio: number }) {
  const dragging = useRef(false);

  const start = (event: PointerEvent) => {
    dragging.current = true;
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const room = event.currentTarget.parentElement?.getBoundingClientRect();
    if (dragging.current && room) setRatio((event.clientX - room.left) / room.width);
  };
  const stop = () => {
    dragging.current = false;
  };
  const key = (event: KeyboardEvent) => {
    const to = { ArrowLeft: ratio - STEP, ArrowRight: ratio + STEP, Home: 0, End: 1, Enter: 0.5 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setRatio(to);
  };

  return (
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the left shell"
      aria-valuenow={Math.round(ratio * PERCENT)}
      aria-valuemin={MIN_RATIO * PERCENT}
      aria-valuemax={(1 - MIN_RATIO) * PERCENT}
      tabIndex={0}
      onPointerDown={start}
      onPointerMove={move}
      onPointerUp={stop}
      onPointerCancel={stop}
      onDoubleClick={() => setRatio(0.5)}
      onKeyDown={key}
      className="relative z-10 w-px shrink-0 cursor-ew-resize touch-none bg-line-strong before:absolute before:inset-y-0 before:-inset-x-1 before:content-[''] hover:before:bg-accent/40 focus-visible:before:bg-accent/40"
    />
  );
}
