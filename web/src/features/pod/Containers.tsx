import { SquareTerminal } from "lucide-react";
import type { ReactNode } from "react";
import { kindWord } from "../../api/shells.ts";
import type { Container, ContainerState, Pod } from "../../api/types.ts";
import { notify } from "../../lib/notice.ts";
import { containerTone } from "../../lib/podStatus.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { DebugButton } from "../../ui/DebugButton.tsx";
import { Status } from "../../ui/Status.tsx";
import { Tip } from "../../ui/Tip.tsx";

interface ContainersProps {
  pod: Pod;
  /** Shells are offered at all in this cluster. */
  shells: boolean;
  /** Why no shell can be opened in this pod; empty where one can. */
  whyNot: string;
  onOpenShell(container: string): void;
  debug: DebugProps;
}

/** Debug containers, for what has no shell. */
export interface DebugProps {
  /** The default first; none where they are not offered. */
  images: string[];
  /** Why none can be added in this pod; empty where one can. */
  whyNot: string;
  /** A shell was asked for there, and the image had none. */
  shellless(container: string): boolean;
  onDebug(container: string, image: string): void;
}

export function Containers({ pod, shells, whyNot, onOpenShell, debug }: ContainersProps) {
  return (
    <ul aria-label="Containers" className="flex flex-col gap-3">
      {pod.containers.map((container) => (
        <ContainerCard
          key={`${container.kind}/${container.name}`}
          container={container}
          whyNot={whyNot || (container.state === "running" ? "" : "This container is not running.")}
          onOpenShell={shells ? () => onOpenShell(container.name) : null}
          debug={debug}
        />
      ))}
    </ul>
  );
}

function ContainerCard({
  container,
  whyNot,
  onOpenShell,
  debug,
}: {
  container: Container;
  whyNot: string;
  /** Null: not offered. */
  onOpenShell: (() => void) | null;
  debug: DebugProps;
}) {
  const kind = kindWord(container);
  const shellless = debug.shellless(container.name);
  return (
    <li className="rounded-lg border border-line bg-surface px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="font-mono text-sm font-bold">{container.name}</h2>
        {kind ? <span className="rounded border border-line bg-sunken px-1.5 text-xs text-muted">{kind}</span> : null}
        <span className="text-sm">
          <Status tone={containerTone(container)} word={stateWord(container)} />
        </span>
        {onOpenShell ? (
          <span className="ml-auto flex gap-2">
            {debug.images.length > 0 && container.kind !== "ephemeral" ? (
              <DebugButton
                text="Debug"
                look={shellless ? "primary" : "plain"}
                label={`Debug container for ${container.name}`}
                images={debug.images}
                whyNot={debug.whyNot || whyNot}
                onDebug={(image) => debug.onDebug(container.name, image)}
              />
            ) : null}
            <Tip text={whyNot}>
              <Button
                size="sm"
                aria-label={`Open shell in ${container.name}`}
                aria-disabled={whyNot !== ""}
                onClick={() => (whyNot ? notify(whyNot) : onOpenShell())}
              >
                <SquareTerminal aria-hidden className="size-3.5" />
                Shell
              </Button>
            </Tip>
          </span>
        ) : null}
      </div>
      {shellless ? (
        <p className="mt-1 text-sm text-muted">
          Its image has no shell.{" "}
          {debug.images.length > 0
            ? debug.whyNot
              ? debug.whyNot
              : "A debug container looks into it from beside."
            : NO_IMAGES}
        </p>
      ) : null}
      {container.message ? <p className="mt-1 text-sm text-muted wrap-anywhere">{container.message}</p> : null}
      <dl className="mt-2 grid gap-x-6 gap-y-1 text-xs grid-cols-[6rem_1fr]">
        <Line name="Image">
          <span className="group flex items-center gap-1 font-mono wrap-anywhere">
            {container.image}
            <CopyButton quiet text={container.image} what="image" />
          </span>
        </Line>
        {container.state === "running" ? (
          <Line name="Running for">
            <Age at={container.startedAt} />
          </Line>
        ) : null}
        {container.state === "terminated" ? (
          <Line name="Ended">
            <Age at={container.finishedAt} suffix=" ago" />
          </Line>
        ) : null}
        <Line name="Restarts">
          <span className="font-mono">{container.restarts}</span>
        </Line>
        {container.ports.length > 0 ? (
          <Line name="Ports">
            <span className="font-mono">{container.ports.map(portText).join(", ")}</span>
          </Line>
        ) : null}
        {container.lastState ? (
          <Line name="Before">
            <LastState state={container.lastState} />
          </Line>
        ) : null}
      </dl>
    </li>
  );
}

const NO_IMAGES =
  "Debug containers are not set up here: whoever runs Periscope can list an image for them in PERISCOPE_DEBUG_IMAGES.";

/** Nobody asks an ephemeral container whether it is ready. */
function stateWord({ kind, state, ready, reason, exitCode }: Container): string {
  if (state === "running") return ready || kind === "ephemeral" ? "Running" : "Running, not ready";
  if (state === "waiting") return reason || "Waiting";
  return `${reason || "Terminated"}${exitCode === null ? "" : ` (exit code ${exitCode})`}`;
}

function portText({ name, port, protocol }: Container["ports"][number]): string {
  return `${port}/${protocol}${name ? ` ${name}` : ""}`;
}

function LastState({ state }: { state: ContainerState }) {
  return (
    <span>
      {state.reason || state.state}
      {state.exitCode === null ? "" : `, exit code ${state.exitCode}`}
      {state.finishedAt ? (
        <>
          {", "}
          <Age at={state.finishedAt} suffix=" ago" />
        </>
      ) : null}
      {state.message ? <span className="block text-muted wrap-anywhere">{state.message}</span> : null}
    </span>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="leading-6 text-muted">{name}</dt>
      <dd className="leading-6">{children}</dd>
    </>
  );
}
