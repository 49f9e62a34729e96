import type { ExecSession } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";

interface TakeOverDialogProps {
  session: ExecSession;
  onClose(): void;
  onTakeOver(session: ExecSession): void;
}

/** Asks before a shell is taken away from the window that has it. */
export function TakeOverDialog({ session, onClose, onTakeOver }: TakeOverDialogProps) {
  return (
    <Modal
      onClose={onClose}
      title="Open this shell here?"
      description={`Another window of yours is connected to the shell in ${session.pod}. It goes on here, and that window is told.`}
    >
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Leave it there</Button>
        <Button
          look="primary"
          autoFocus
          onClick={() => {
            onClose();
            onTakeOver(session);
          }}
        >
          Open here
        </Button>
      </div>
    </Modal>
  );
}
