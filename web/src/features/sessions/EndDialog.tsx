import { useMutation, useQueryClient } from "@tanstack/react-query";
import { endExecSession } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { sessionsQuery } from "../../api/queries.ts";
import type { ExecSession } from "../../api/types.ts";
import { notify } from "../../lib/notice.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FaultNote } from "../../ui/states.tsx";
import { nameOf } from "./columns.ts";

interface EndDialogProps {
  session: ExecSession;
  /** It runs in this very window. */
  here: boolean;
  onClose(): void;
}

/** Asks once, ends, and says what became of it. */
export function EndDialog({ session, here, onClose }: EndDialogProps) {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => endExecSession(session.sessionId),
    onSuccess: (stillRan) => {
      notify(stillRan ? `The shell in ${session.pod} was ended` : `The shell in ${session.pod} had ended already`);
      void queries.invalidateQueries({ queryKey: sessionsQuery().queryKey });
      onClose();
    },
  });
  return (
    <Modal onClose={onClose} title="End this shell?" description={question(session, here)}>
      {end.isError ? <FaultNote lead="It was not ended." fault={explain(end.error)} /> : null}
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={onClose}>
          Keep it
        </Button>
        <Button look="danger" disabled={end.isPending} onClick={() => end.mutate()}>
          {end.isPending ? "Ending" : "End shell"}
        </Button>
      </div>
    </Modal>
  );
}

function question(session: ExecSession, here: boolean): string {
  const place = `${session.namespace}/${session.pod} of ${session.cluster}`;
  if (session.own) {
    return `The shell in ${place}${here ? ", open in this window," : ""} is still running. What runs in it ends with it.`;
  }
  return `${nameOf(session)} has it open in ${place}. What runs in it ends with it. They are told that you ended it, and it is recorded in audit.`;
}
