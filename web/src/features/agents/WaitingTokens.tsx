import { useMutation, useQueryClient } from "@tanstack/react-query";
import { withdrawAgentToken } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import type { WaitingToken } from "../../api/types.ts";
import { clock } from "../../lib/clock.ts";
import { notify } from "../../lib/notice.ts";
import { formatAbsolute, formatClock } from "../../lib/time.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { FaultNote } from "../../ui/states.tsx";
import { useStore } from "../../ui/useStore.ts";

/** Tokens by which an agent can still register, until they have expired; nothing where there are none. */
export function WaitingTokens({ tokens }: { tokens: readonly WaitingToken[] }) {
  const now = useStore(clock);
  const waiting = tokens.filter(({ expiresAt }) => Date.parse(expiresAt) > now);
  if (waiting.length === 0) return null;
  return (
    <section className="mt-6">
      <h2 className="mb-1 text-sm font-semibold">Tokens that wait for an agent</h2>
      <p className="mb-2 max-w-3xl text-xs text-muted">
        Whoever has one can let an agent in for its cluster, once. Withdraw one that was lost or is not needed.
      </p>
      <ul
        aria-label="Tokens that wait for an agent"
        className="overflow-hidden rounded-lg border border-line bg-surface"
      >
        {waiting.map((token) => (
          <Token key={token.id} token={token} left={Date.parse(token.expiresAt) - now} />
        ))}
      </ul>
    </section>
  );
}

function Token({ token, left }: { token: WaitingToken; left: number }) {
  const queries = useQueryClient();
  const withdraw = useMutation({
    mutationFn: () => withdrawAgentToken(token.cluster, token.id),
    onSuccess: (held) =>
      notify(held ? `The token for ${token.cluster} was withdrawn` : `The token for ${token.cluster} waited no more`),
    onSettled: () => queries.invalidateQueries({ queryKey: ["agents"] }),
  });
  const { subject, email } = token.mintedBy;
  return (
    <li className="border-b border-line px-4 py-2 text-xs last:border-0">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <span className="min-w-0 flex-1 basis-40 font-mono text-sm font-medium wrap-anywhere">{token.cluster}</span>
        <span className="text-muted wrap-anywhere" title={subject}>
          made <Age at={token.createdAt} suffix=" ago" /> by {email || subject}
        </span>
        <span className="whitespace-nowrap text-muted" title={`Expires ${formatAbsolute(token.expiresAt)}`}>
          expires in <span className="font-mono">{formatClock(left)}</span>
        </span>
        <Button
          size="sm"
          aria-label={`Withdraw the token for ${token.cluster}`}
          disabled={withdraw.isPending || withdraw.isSuccess}
          onClick={() => withdraw.mutate()}
        >
          {withdraw.isPending ? "Withdrawing" : "Withdraw"}
        </Button>
      </div>
      {withdraw.isError ? <FaultNote lead="The token was not withdrawn." fault={explain(withdraw.error)} /> : null}
    </li>
  );
}
