import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import type { Shell } from "./shell.ts";
import { cancelClose, closeShell } from "./store.ts";

export function CloseDialog({ shell }: { shell: Shell | null }) {
  if (!shell) return null;
  return (
    <Modal
      onClose={cancelClose}
      title="End this shell?"
      description={`The shell in ${shell.target.pod} is still running. What runs in it ends with it.`}
    >
      <div className="flex justify-end gap-2">
        <Button onClick={cancelClose}>Keep it</Button>
        <Button look="danger" autoFocus onClick={() => closeShell(shell)}>
          End shell
        </Button>
      </div>
    </Modal>
  );
}
