import { Upload } from "lucide-react";
import { type DragEvent, type ReactNode, useState } from "react";
import { Where } from "./CopyDialogs.tsx";
import { askUpload, carriesFiles, droppedFiles, placeOfFiles } from "./copying.ts";
import type { Shell } from "./shell.ts";

/** What lies in it can have files dropped on it, which are then uploaded to the shell's container. */
export function DropTarget({ shell, className, children }: { shell: Shell; className: string; children: ReactNode }) {
  const [over, setOver] = useState(false);
  const drag = (event: DragEvent) => {
    if (!carriesFiles(event.dataTransfer) || !placeOfFiles(shell)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    setOver(true);
  };
  const leave = (event: DragEvent) => {
    const inside = event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget);
    if (!inside) setOver(false);
  };
  const drop = (event: DragEvent) => {
    setOver(false);
    if (!carriesFiles(event.dataTransfer) || !placeOfFiles(shell)) return;
    event.preventDefault();
    const dropped = droppedFiles(event.dataTransfer);
    if (dropped.files.length + dropped.folders.length > 0) askUpload(shell, dropped);
  };
  return (
    <div className={className} onDragEnter={drag} onDragOver={drag} onDragLeave={leave} onDrop={drop}>
      {children}
      {over ? <DropNote shell={shell} /> : null}
    </div>
  );
}

function DropNote({ shell }: { shell: Shell }) {
  const place = placeOfFiles(shell);
  return (
    <div
      data-testid="drop-target"
      className="pointer-events-none absolute inset-2 z-20 flex animate-fade flex-col items-center justify-center gap-2 rounded-lg border-2 border-dashed border-accent bg-raised/90 p-4 text-center"
    >
      <Upload aria-hidden className="size-6 text-accent" />
      <p className="font-medium">Drop to upload</p>
      <p className="max-w-full text-muted">{place ? <Where place={place} /> : null}</p>
    </div>
  );
}
