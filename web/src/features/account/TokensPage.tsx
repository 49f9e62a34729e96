import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { explain } from "../../api/explain.ts";
import { tokensQuery } from "../../api/queries.ts";
import type { AccessToken, AccessTokenList } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Segments } from "../../ui/Segments.tsx";
import { Stale } from "../../ui/Stale.tsx";
import { Fault, Message, Skeleton, Strip } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { NewTokenDialog } from "./NewTokenDialog.tsx";
import { RevokeDialog } from "./RevokeDialog.tsx";
import { TokenTable } from "./TokenTable.tsx";

interface TokensPageProps {
  who: string;
  /** Tokens may be made here. */
  offered: boolean;
  /** Everybody's are shown, to an administrator. */
  everybody: boolean;
  onEverybody(everybody: boolean): void;
}

const WHOSE = [
  { name: "Mine", value: false },
  { name: "Everybody’s", value: true },
] as const;

/** The tokens by which scripts act as their owner. */
export function TokensPage({ who, offered, everybody, onEverybody }: TokensPageProps) {
  const { query: list, waiting, failure } = useAsked(tokensQuery(everybody));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<readonly AccessToken[]>([]);
  const own = list.data?.tokens.filter((token) => token.own) ?? [];
  const full = list.data !== undefined && own.length >= list.data.limits.maxPerPerson;
  return (
    <div className="h-full overflow-auto">
      <Stale
        what="The tokens"
        at={list.dataUpdatedAt}
        fault={list.isRefetchError ? explain(list.error) : null}
        retry={() => void list.refetch()}
      />
      <div className="mx-auto max-w-5xl px-4 py-5">
        <header className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
          <h1 className="text-xl font-semibold">Access tokens</h1>
          <div className="ml-auto flex flex-wrap items-center gap-2">
            {list.data?.admin || everybody ? (
              <Segments label="Whose" value={everybody} choices={WHOSE} onChange={onEverybody} />
            ) : null}
            {offered ? (
              <Button look="primary" disabled={!list.data || full} onClick={() => setMaking(true)}>
                <Plus aria-hidden className="size-4" />
                New token
              </Button>
            ) : null}
          </div>
        </header>
        <p className="mb-4 max-w-3xl text-sm text-muted">
          A token lets a script or <code className="font-mono text-xs">curl</code> act as you, within its scopes, under
          your own rights and with the same audit.
        </p>
        {full ? <Full most={list.data.limits.maxPerPerson} /> : null}
        {everybody ? (
          <div className="mb-3 overflow-hidden rounded-md">
            <Strip tone="info">You see everybody’s tokens. Revoking one is recorded in audit.</Strip>
          </div>
        ) : null}
        <Content list={list.data} offered={offered} everybody={everybody} onRevoke={(token) => setRevoking([token])} />
        {own.length > 1 ? (
          <div className="mt-3 flex justify-end">
            <Button size="sm" onClick={() => setRevoking(own)}>
              {everybody ? "Revoke all of mine" : "Revoke all"}
            </Button>
          </div>
        ) : null}
        {waiting ? <Skeleton rows={3} label="Loading tokens" /> : null}
        {failure ? <Fault fault={explain(failure)} who={who} retry={() => list.refetch()} /> : null}
      </div>
      {making && list.data ? <NewTokenDialog list={list.data} onClose={() => setMaking(false)} /> : null}
      {revoking.length > 0 ? <RevokeDialog tokens={revoking} onClose={() => setRevoking([])} /> : null}
    </div>
  );
}

function Full({ most }: { most: number }) {
  return (
    <div className="mb-3 overflow-hidden rounded-md">
      <Strip tone="attention">You have {most} tokens, which is the limit. Revoke one that you no longer need.</Strip>
    </div>
  );
}

interface ContentProps {
  list: AccessTokenList | undefined;
  offered: boolean;
  everybody: boolean;
  onRevoke(token: AccessToken): void;
}

function Content({ list, offered, everybody, onRevoke }: ContentProps) {
  if (!list) return null;
  if (list.tokens.length > 0) return <TokenTable tokens={list.tokens} everybodys={everybody} onRevoke={onRevoke} />;
  return (
    <div className="rounded-lg border border-line bg-surface">
      <Message icon={<KeyRound aria-hidden />} title={everybody ? "Nobody has a token" : "You have no token"}>
        <p>
          {offered
            ? "Make one for each script or machine, with as little as it needs: then each can be revoked alone."
            : "Whoever runs this server has switched them off."}
        </p>
      </Message>
    </div>
  );
}
