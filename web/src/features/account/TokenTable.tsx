import type { ReactNode } from "react";
import type { AccessToken } from "../../api/types.ts";
import { clock } from "../../lib/clock.ts";
import { formatAbsolute } from "../../lib/time.ts";
import { Age } from "../../ui/Age.tsx";
import { Badge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Status, TONE_TEXT } from "../../ui/Status.tsx";
import { PHONE, useMedia } from "../../ui/useMedia.ts";
import { useStore } from "../../ui/useStore.ts";
import { expiry, scopeName } from "./tokens.ts";
import { nameOfWho } from "./who.ts";

interface TokenTableProps {
  tokens: readonly AccessToken[];
  everybodys: boolean;
  onRevoke(token: AccessToken): void;
}

export function TokenTable(props: TokenTableProps) {
  return useMedia(PHONE) ? <Cards {...props} /> : <Table {...props} />;
}

const HEAD = "px-3 py-2 text-left font-medium first:pl-4";
const CELL = "px-3 py-2 align-middle first:pl-4";

/** Narrower than the page can be with everything in it, so that it scrolls by itself. */
function Table({ tokens, everybodys, onRevoke }: TokenTableProps) {
  return (
    <div tabIndex={0} className="relative overflow-x-auto rounded-lg border border-line bg-surface">
      <table aria-label="Access tokens" className="w-full border-collapse text-xs">
        <thead className="border-b border-line text-muted">
          <tr>
            <th className={HEAD}>Name</th>
            {everybodys ? <th className={HEAD}>Whose</th> : null}
            <th className={HEAD}>Scopes</th>
            <th className={HEAD}>Clusters</th>
            <th className={HEAD}>Created</th>
            <th className={HEAD}>Last used</th>
            <th className={HEAD}>Expires</th>
            <th className={HEAD}>
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <tr key={token.id} className="border-b border-line last:border-0 hover:bg-hover">
              <td className={CELL}>
                <Name token={token} />
              </td>
              {everybodys ? (
                <td className={CELL}>
                  <Owner token={token} />
                </td>
              ) : null}
              <td className={CELL}>
                <Scopes token={token} />
              </td>
              <td className={CELL}>
                <Clusters token={token} />
              </td>
              <Figure>
                <Age at={token.createdAt} suffix=" ago" />
              </Figure>
              <Figure>
                <Used token={token} />
              </Figure>
              <td className={`${CELL} whitespace-nowrap`}>
                <Expires token={token} />
              </td>
              <td className={`${CELL} text-right`}>
                <RevokeButton token={token} onRevoke={onRevoke} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const Figure = ({ children }: { children: ReactNode }) => (
  <td className={`${CELL} font-mono whitespace-nowrap text-muted`}>{children}</td>
);

function Name({ token }: { token: AccessToken }) {
  return (
    <>
      <p className="max-w-56 text-sm font-medium wrap-anywhere">{token.name}</p>
      <p title="Names the token in audit" className="font-mono text-xs text-muted">
        {shortID(token.id)}
      </p>
    </>
  );
}

/** Enough to find it in audit. */
const shortID = (id: string) => `${id.slice(0, 8)}…`;

function Owner({ token }: { token: AccessToken }) {
  return (
    <span title={token.subject} className="wrap-anywhere">
      {nameOfWho(token)}
      {token.own ? <span className="text-muted"> (you)</span> : null}
    </span>
  );
}

function Scopes({ token }: { token: AccessToken }) {
  return (
    <span className="flex flex-wrap gap-1">
      {token.scopes.map((scope) => (
        <Badge key={scope} title={scope} tone={scope === "admin" ? "attention" : "neutral"}>
          {scopeName(scope)}
        </Badge>
      ))}
    </span>
  );
}

function Clusters({ token: { clusters } }: { token: AccessToken }) {
  if (clusters.length === 0) return <span className="text-muted">all</span>;
  return <span className="font-mono wrap-anywhere">{clusters.join(", ")}</span>;
}

const Used = ({ token }: { token: AccessToken }) =>
  token.usedAt ? <Age at={token.usedAt} suffix=" ago" /> : <span>never</span>;

function Expires({ token }: { token: AccessToken }) {
  const { tone, word } = expiry(token, useStore(clock));
  const title = token.expiresAt ? formatAbsolute(token.expiresAt) : "It holds until it is revoked";
  return (
    <span title={title} className={`font-mono ${TONE_TEXT[tone]}`}>
      {tone === "neutral" ? word : <Status tone={tone} word={word} />}
    </span>
  );
}

function RevokeButton({ token, onRevoke }: { token: AccessToken; onRevoke(token: AccessToken): void }) {
  return (
    <Button size="sm" aria-label={`Revoke ${token.name}`} onClick={() => onRevoke(token)}>
      Revoke
    </Button>
  );
}

function Cards({ tokens, everybodys, onRevoke }: TokenTableProps) {
  return (
    <ul aria-label="Access tokens" className="overflow-hidden rounded-lg border border-line bg-surface">
      {tokens.map((token) => (
        <li key={token.id} className="flex flex-col gap-1.5 border-b border-line px-4 py-3 text-xs last:border-0">
          <div className="flex items-start justify-between gap-3">
            <div className="min-w-0">
              <Name token={token} />
            </div>
            <RevokeButton token={token} onRevoke={onRevoke} />
          </div>
          {everybodys ? <Owner token={token} /> : null}
          <Scopes token={token} />
          <p className="text-muted">
            clusters: <Clusters token={token} /> · used <Used token={token} />
          </p>
          <p className="flex items-center gap-1 text-muted">
            expires <Expires token={token} />
          </p>
        </li>
      ))}
    </ul>
  );
}
