import { useMutation, useQueryClient } from "@tanstack/react-query";
import { revokeToken, revokeTokens } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import type { AccessToken } from "../../api/types.ts";
import { notify } from "../../lib/notice.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FaultNote } from "../../ui/states.tsx";
import { nameOfWho } from "./who.ts";

/** One token, or all of one's own. Asks once, and says what became of it. */
export function RevokeDialog({ tokens, onClose }: { tokens: readonly AccessToken[]; onClose(): void }) {
  const queries = useQueryClient();
  const [first] = tokens;
  const one = tokens.length === 1 ? first : undefined;
  const revoke = useMutation({
    mutationFn: async () => (one ? void (await revokeToken(one.id)) : revokeTokens()),
    onSuccess: () => {
      notify(one ? `${one.name} was revoked` : `${tokens.length} tokens were revoked`);
      onClose();
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: ["tokens"] }),
  });
  return (
    <Modal
      onClose={onClose}
      title={one ? `Revoke ${one.name}?` : "Revoke all of your tokens?"}
      description={
        one ? question(one) : `All ${tokens.length} stop working at once, and the shells opened by them end.`
      }
    >
      {revoke.isError ? <FaultNote lead="Not everything was revoked." fault={explain(revoke.error)} /> : null}
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={onClose}>
          {one ? "Keep it" : "Keep them"}
        </Button>
        <Button look="danger" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          {revoke.isPending ? "Revoking" : "Revoke"}
        </Button>
      </div>
    </Modal>
  );
}

function question(token: AccessToken): string {
  const whose = token.own ? "" : ` It belongs to ${nameOfWho(token)}.`;
  return `Whatever uses it stops working at once, and the shells opened by it end.${whose} This cannot be undone.`;
}
