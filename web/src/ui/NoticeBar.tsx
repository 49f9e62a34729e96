import { notice } from "../lib/notice.ts";
import { useStore } from "./useStore.ts";

export function NoticeBar() {
  const shown = useStore(notice);
  return (
    <div aria-live="polite" className="pointer-events-none fixed inset-x-0 top-14 z-50 flex justify-center">
      {shown ? (
        <span
          key={shown.id}
          className="mx-4 max-w-xl animate-fade rounded-md border border-line-strong bg-raised px-3 py-1.5 text-xs shadow-(--shadow)"
        >
          {shown.text}
        </span>
      ) : null}
    </div>
  );
}
