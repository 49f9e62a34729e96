import type { ReactNode } from "react";
import { clock } from "../../lib/clock.ts";
import { reachOf } from "../../lib/link.ts";
import { formatAbsolute } from "../../lib/time.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { Status } from "../../ui/Status.tsx";
import { PHONE, useMedia } from "../../ui/useMedia.ts";
import { useStore } from "../../ui/useStore.ts";
import { type AgentRow, certificate } from "./agents.ts";

interface AgentTableProps {
  rows: readonly AgentRow[];
  /** The list of clusters is there: a row without a cluster is of none. */
  clustersKnown: boolean;
  onAdd(cluster: string): void;
  onRevoke(row: AgentRow): void;
}

interface RowProps extends Omit<AgentTableProps, "rows"> {
  row: AgentRow;
}

export function AgentTable(props: AgentTableProps) {
  return useMedia(PHONE) ? <Cards {...props} /> : <Table {...props} />;
}

const HEAD = "px-3 py-2 text-left font-medium first:pl-4";
const CELL = "px-3 py-2 align-middle first:pl-4";

/** Narrower than the page can be with everything in it, so that it scrolls by itself. */
function Table({ rows, ...rest }: AgentTableProps) {
  return (
    <div tabIndex={0} className="relative overflow-x-auto rounded-lg border border-line bg-surface">
      <table aria-label="Agents" className="w-full border-collapse text-xs">
        <thead className="border-b border-line text-muted">
          <tr>
            <th className={HEAD}>Cluster</th>
            <th className={HEAD}>Link</th>
            <th className={HEAD}>Version</th>
            <th className={HEAD}>Registered</th>
            <th className={HEAD}>Certificate ends</th>
            <th className={HEAD}>
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <TableRow key={row.cluster} row={row} {...rest} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TableRow(props: RowProps) {
  const { row } = props;
  return (
    <tr className="border-b border-line last:border-0 hover:bg-hover">
      <td className={`${CELL} font-mono text-sm font-medium wrap-anywhere`}>{row.cluster}</td>
      <td className={`${CELL} text-sm whitespace-nowrap`}>
        <LinkState {...props} />
      </td>
      <td className={`${CELL} font-mono text-muted`}>{row.found?.link?.agentVersion || "–"}</td>
      <td className={CELL}>
        <Registered row={row} />
      </td>
      <td className={`${CELL} whitespace-nowrap`}>
        <CertificateEnd row={row} />
      </td>
      <td className={`${CELL} text-right whitespace-nowrap`}>
        <Actions {...props} />
      </td>
    </tr>
  );
}

function LinkState({ row: { agent, found }, clustersKnown }: RowProps): ReactNode {
  if (!found) return clustersKnown ? <Note>Not in clusters.yaml</Note> : <Note>–</Note>;
  const { tone, word, since } = reachOf(found);
  const away = found.link?.state === "away";
  if (away && !agent) return <Status tone="neutral" word="Not registered" />;
  return (
    <>
      <Status tone={tone} word={word} />
      {since ? (
        <Note>
          for <Age at={since} />
        </Note>
      ) : null}
      {away && !since ? <Note>since the server’s start</Note> : null}
    </>
  );
}

const Note = ({ children }: { children: ReactNode }) => <p className="text-xs text-muted">{children}</p>;

function Registered({ row: { agent } }: { row: AgentRow }) {
  if (!agent) return <span className="text-muted">–</span>;
  const { subject, email } = agent.mintedBy;
  return (
    <>
      <p className="font-mono whitespace-nowrap">
        <Age at={agent.registeredAt} suffix=" ago" />
      </p>
      <p className="text-muted wrap-anywhere" title={`${subject} made its token`}>
        by {email || subject}
      </p>
    </>
  );
}

function CertificateEnd({ row: { agent } }: { row: AgentRow }) {
  const now = useStore(clock);
  if (!agent) return <span className="text-muted">–</span>;
  const { tone, word } = certificate(agent, now);
  const title = `Ends ${formatAbsolute(agent.expiresAt)}; the agent renews it after ${formatAbsolute(agent.renewAt)}`;
  return (
    <span title={title}>
      {tone === "neutral" ? <span className="font-mono text-muted">{word}</span> : <Status tone={tone} word={word} />}
      {tone === "attention" ? <Note>not renewed in time</Note> : null}
    </span>
  );
}

function Actions({ row, onAdd, onRevoke }: RowProps) {
  return (
    <span className="inline-flex gap-2">
      {row.found ? (
        <Button
          size="sm"
          aria-label={row.agent ? `New token for ${row.cluster}` : `Connect ${row.cluster}`}
          onClick={() => onAdd(row.cluster)}
        >
          {row.agent ? "New token" : "Connect"}
        </Button>
      ) : null}
      {row.agent ? (
        <Button size="sm" aria-label={`Revoke ${row.cluster}`} onClick={() => onRevoke(row)}>
          Revoke
        </Button>
      ) : null}
    </span>
  );
}

function Cards({ rows, ...rest }: AgentTableProps) {
  return (
    <ul aria-label="Agents" className="overflow-hidden rounded-lg border border-line bg-surface">
      {rows.map((row) => (
        <li key={row.cluster} className="flex flex-col gap-2 border-b border-line px-4 py-3 text-xs last:border-0">
          <div className="flex items-start justify-between gap-3">
            <div className="min-w-0">
              <p className="font-mono text-sm font-medium wrap-anywhere">{row.cluster}</p>
              <p className="font-mono text-muted">{row.found?.link?.agentVersion}</p>
            </div>
            <div className="shrink-0 text-right text-sm">
              <LinkState row={row} {...rest} />
            </div>
          </div>
          {row.agent ? (
            <div className="flex items-start justify-between gap-3">
              <div className="min-w-0">
                <p className="text-muted">Registered</p>
                <Registered row={row} />
              </div>
              <div className="shrink-0 text-right">
                <p className="text-muted">Certificate ends</p>
                <CertificateEnd row={row} />
              </div>
            </div>
          ) : null}
          <Actions row={row} {...rest} />
        </li>
      ))}
    </ul>
  );
}
