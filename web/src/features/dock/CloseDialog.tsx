import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import type { Shell } from "./shell.ts";
import { cancelClose, closeShell, focusActive } from "./store.ts";

export function CloseDialog({ shell }: { shell: Shell | null }) {
  if (!shell) return null;
  const { title, description, button } = wordsFor(shell);
  return (
    <Modal
      onClose={cancelClose}
      // Whoever keeps a shell goes on in it; on the button that asked, the next key pressed would ask again.
      focusAfter={focusActive}
      title={title}
      description={description}
    >
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={cancelClose}>
          Keep it
        </Button>
        <Button look="danger" onClick={() => closeShell(shell)}>
          {button}
        </Button>
      </div>
    </Modal>
  );
}

function wordsFor({ target: { pod }, awaitsReload }: Shell): { title: string; description: string; button: string } {
  if (awaitsReload) {
    return {
      title: "Close this tab?",
      description: `The shell in ${pod} is still running, and a reload comes back to it. Without its tab only the page Sessions does, until the server ends it.`,
      button: "Close tab",
    };
  }
  return {
    title: "End this shell?",
    description: `The shell in ${pod} is still running. What runs in it ends with it.`,
    button: "End shell",
  };
}
