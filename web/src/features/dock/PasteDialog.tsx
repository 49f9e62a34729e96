import { useState } from "react";
import { formatBytes } from "../../lib/bytes.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FirstLines } from "./FirstLines.tsx";
import { type Paste, pasteText } from "./paste.ts";
import { answerPaste, type DockState, focusActive } from "./store.ts";

export function PasteDialog({ pasting }: { pasting: DockState["pasting"] }) {
  return pasting ? <Question key={pasting.shell.id} pod={pasting.shell.target.pod} paste={pasting.paste} /> : null;
}

function Question({ pod, paste }: { pod: string; paste: Paste }) {
  const [leaveOutInvisible, setLeaveOut] = useState(true);
  const answer = (oneLine: boolean) => answerPaste(pasteText(paste, { oneLine, leaveOutInvisible }));
  return (
    <Modal
      onClose={() => answerPaste(null)}
      focusAfter={focusActive}
      width="max-w-xl"
      title={`Paste ${amount(paste)}?`}
      description={`Into the shell in ${pod}. ${why(paste)}`}
    >
      <FirstLines text={paste.text} className="max-h-48" />
      {paste.invisible > 0 ? (
        <label className="mt-3 flex items-center gap-2 text-sm">
          <input
            type="checkbox"
            checked={leaveOutInvisible}
            onChange={(event) => setLeaveOut(event.target.checked)}
            className="size-4 accent-(--accent-solid)"
          />
          Leave out {paste.invisible === 1 ? "the control character" : `the ${paste.invisible} control characters`}
        </label>
      ) : null}
      <div className="mt-4 flex flex-wrap items-center justify-end gap-2">
        {/* The dialog comes while one types: Enter pressed by habit must run nothing. */}
        <Button autoFocus onClick={() => answerPaste(null)}>
          Cancel
        </Button>
        {paste.risks.includes("runs") ? <Button onClick={() => answer(true)}>Paste as one line</Button> : null}
        <Button look="primary" onClick={() => answer(false)}>
          Paste
        </Button>
      </div>
    </Modal>
  );
}

function amount({ lines, bytes, risks }: Paste): string {
  if (risks.includes("large")) return formatBytes(bytes);
  return lines > 1 ? `${lines} lines` : "this";
}

const WHY = {
  runs: ({ lines }: Paste) =>
    lines > 1 ? "Each line runs at once." : "It ends with a line break, so it runs at once.",
  large: () => "That is much to paste.",
  invisible: ({ invisible }: Paste) =>
    invisible === 1
      ? "It holds a control character, which does something instead of being seen."
      : "It holds control characters, which do something instead of being seen.",
};

function why(paste: Paste): string {
  return paste.risks.map((risk) => WHY[risk](paste)).join(" ");
}
