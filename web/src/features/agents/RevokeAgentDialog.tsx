import { useMutation, useQueryClient } from "@tanstack/react-query";
import { revokeAgent } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { notify } from "../../lib/notice.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FaultNote } from "../../ui/states.tsx";
import type { AgentRow } from "./agents.ts";

/** Asks once before a cluster is cut off, and says what that means. */
export function RevokeAgentDialog({ row, onClose }: { row: AgentRow; onClose(): void }) {
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => revokeAgent(row.cluster),
    onSuccess: (held) => {
      notify(held ? `The agent of ${row.cluster} was revoked` : `${row.cluster} had no agent any more`);
      onClose();
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["agents"] });
      void queries.invalidateQueries({ queryKey: ["clusters"] });
    },
  });
  const count = row.agent?.certificates ?? 0;
  return (
    <Modal
      onClose={onClose}
      title={`Revoke the agent of ${row.cluster}?`}
      description="The cluster is cut off from Periscope. This is recorded in audit."
    >
      {revoke.isError ? <FaultNote lead="Nothing was revoked." fault={explain(revoke.error)} /> : null}
      <ul className="mb-5 list-disc space-y-1 pl-5 text-sm">
        <li>Its link ends at once, and with it every shell in the cluster.</li>
        <li>{count > 1 ? `All ${count} of its certificates are` : "Its certificate is"} refused from now on.</li>
        <li>A token that was made for it and not used yet works no more.</li>
        <li>To connect it again takes a new token, and the agent started with that.</li>
      </ul>
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={onClose}>
          Keep it
        </Button>
        <Button look="danger" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          {revoke.isPending ? "Revoking" : "Revoke"}
        </Button>
      </div>
    </Modal>
  );
}
