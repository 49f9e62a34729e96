import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import type { Shell } from "./shell.ts";
import { cancelClose, closeShell, focusActive } from "./store.ts";

export function CloseDialog({ shell }: { shell: Shell | null }) {
  if (!shell) return null;
  return (
    <Modal
      onClose={cancelClose}
      // Whoever keeps a shell goes on in it; on the button that asked, the next key pressed would ask again.
      focusAfter={focusActive}
      title="End this shell?"
      description={`The shell in ${shell.target.pod} is still running. What runs in it ends with it.`}
    >
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={cancelClose}>
          Keep it
        </Button>
        <Button look="danger" onClick={() => closeShell(shell)}>
          End shell
        </Button>
      </div>
    </Modal>
  );
}
