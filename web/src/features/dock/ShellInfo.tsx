import type { ReactNode } from "react";
import { formatBytes } from "../../lib/bytes.ts";
import { clock } from "../../lib/clock.ts";
import { CopyButton } from "../../ui/Copy.tsx";
import { useStore } from "../../ui/useStore.ts";
import type { Shell } from "./shell.ts";
import { lookedInto } from "./target.ts";
import { transportText } from "./transport.ts";

/** Everything known about one shell, for a report or out of curiosity. */
export function ShellInfo({ shell }: { shell: Shell }) {
  const { hello } = useStore(shell.state);
  // The counters move while the popover is open; once a second is often enough.
  const now = useStore(clock);
  const { bytesIn, bytesOut } = shell.traffic;
  const into = lookedInto(shell.target);
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-xs">
      <Row name="Session">
        {hello?.sessionId ? (
          <>
            <code className="min-w-0 truncate font-mono">{hello.sessionId}</code>
            <CopyButton text={hello.sessionId} what="session id" />
          </>
        ) : (
          "not started"
        )}
      </Row>
      <Row name="Cluster">{shell.target.cluster}</Row>
      <Row name="Pod">
        {shell.target.namespace}/{shell.target.pod}
      </Row>
      <Row name="Container">{hello?.container || shell.target.container}</Row>
      {into ? <Row name="Debugs">{into}</Row> : null}
      <Row name="Program">{hello?.shell || "–"}</Row>
      <Row name="You act as">{hello?.user || "–"}</Row>
      <Row name="Transport">{hello ? transportText(hello, now) : "–"}</Row>
      <Row name="Ends when idle">{hello?.serverIdleSeconds ? minutes(hello.serverIdleSeconds) : "never"}</Row>
      <Row name="Received">{formatBytes(bytesIn)}</Row>
      <Row name="Typed">{formatBytes(bytesOut)}</Row>
      {hello ? (
        <Row name="In flight, at most">
          {formatBytes(hello.window)} out, {formatBytes(hello.stdinWindow)} in
        </Row>
      ) : null}
    </dl>
  );
}

function minutes(seconds: number): string {
  return seconds % 60 === 0 ? `after ${seconds / 60} min` : `after ${seconds} s`;
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="leading-6 text-muted">{name}</dt>
      <dd className="flex min-h-6 min-w-0 items-center gap-1 font-mono wrap-anywhere">{children}</dd>
    </>
  );
}
