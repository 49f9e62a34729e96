import { Copy as CopyIcon } from "lucide-react";
import { copyText } from "../lib/clipboard.ts";
import { notify } from "../lib/notice.ts";

/** Copies `text` with one click. Appears with its surroundings' hover where `quiet`; a finger cannot hover. */
export function CopyButton({ text, what, quiet = false }: { text: string; what: string; quiet?: boolean }) {
  const copy = async () => notify((await copyText(text)) ? `Copied ${what}` : `The browser refused to copy ${what}`);
  return (
    <button
      type="button"
      aria-label={`Copy ${what}`}
      title={`Copy ${what}`}
      onClick={(event) => {
        event.stopPropagation();
        event.preventDefault();
        void copy();
      }}
      className={`inline-flex size-6 shrink-0 items-center justify-center rounded text-muted hover:bg-hover hover:text-text ${
        quiet ? "opacity-0 group-hover:opacity-100 focus-visible:opacity-100 pointer-coarse:opacity-100" : ""
      }`}
    >
      <CopyIcon aria-hidden className="size-3.5" />
    </button>
  );
}
