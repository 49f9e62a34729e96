import { CircleX, Inbox, Lock, RotateCw, WifiOff } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Age } from "./Age.tsx";
import { Button } from "./Button.tsx";
import { CopyButton } from "./Copy.tsx";

/** Shown only when loading takes longer than a blink, in the shape of what will come. */
export function Skeleton({ rows = 8, label }: { rows?: number; label: string }) {
  return (
    <div role="status" aria-label={label} className="animate-skeleton">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike and never move
        <div key={row} className="flex h-9 items-center gap-6 border-b border-line px-4">
          <span className="h-2.5 w-2/5 rounded bg-sunken" />
          <span className="h-2.5 w-24 rounded bg-sunken" />
          <span className="h-2.5 w-16 rounded bg-sunken" />
          <span className="ml-auto h-2.5 w-12 rounded bg-sunken" />
        </div>
      ))}
    </div>
  );
}

interface MessageProps {
  icon: ReactNode;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
}

/** A whole area that has one thing to say. */
export function Message({ icon, title, children, actions }: MessageProps) {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-center gap-2 px-6 py-12 text-center">
      <span className="mb-1 text-muted [&>svg]:size-7 [&>svg]:stroke-[1.5]">{icon}</span>
      <h2 className="text-lg font-semibold">{title}</h2>
      <div className="flex flex-col gap-1 text-sm text-muted">{children}</div>
      {actions ? <div className="mt-3 flex flex-wrap justify-center gap-2">{actions}</div> : null}
    </div>
  );
}

export function Empty({ title, children, actions }: Omit<MessageProps, "icon">) {
  return (
    <Message icon={<Inbox aria-hidden />} title={title} actions={actions}>
      {children}
    </Message>
  );
}

export interface FaultText {
  kind: "forbidden" | "offline" | "other";
  title: string;
  message: string;
  next: string;
  requestId: string;
  /** Since when it is so, where that is known. */
  since?: string | null;
}

const FAULT_ICONS = { forbidden: Lock, offline: WifiOff, other: CircleX };

interface FaultProps {
  fault: FaultText;
  who?: string;
  /** What it returns ends with the try. */
  retry?: () => unknown;
  /** Other ways on, beside trying again. */
  actions?: ReactNode;
}

/** What happened, why, what to do next, and the request id to hand on. */
export function Fault({ fault, who, retry, actions }: FaultProps) {
  const Icon = FAULT_ICONS[fault.kind];
  const [trying, setTrying] = useState(false);
  const again = async () => {
    setTrying(true);
    await retry?.();
    setTrying(false);
  };
  return (
    <div role="alert">
      <Message
        icon={<Icon aria-hidden />}
        title={fault.title}
        actions={
          <>
            {retry ? (
              <Button onClick={() => void again()}>
                <RotateCw
                  aria-hidden
                  className={`size-3.5 ${trying ? "animate-spin opacity-50 motion-reduce:animate-none" : ""}`}
                />
                Try again
              </Button>
            ) : null}
            {actions}
          </>
        }
      >
        <p className="text-text">
          {fault.message}
          {fault.since ? <SinceThen at={fault.since} /> : null}
        </p>
        {fault.kind === "forbidden" && who ? (
          <p>
            You are signed in as <span className="font-mono text-xs text-text">{who}</span>.
          </p>
        ) : null}
        {fault.next ? <p>{fault.next}</p> : null}
        {fault.requestId ? <RequestId id={fault.requestId} /> : null}
      </Message>
    </div>
  );
}

/** Ticks without a word: it is read once. */
function SinceThen({ at }: { at: string }) {
  return (
    <span aria-live="off" className="text-muted">
      {" "}
      (<Age at={at} suffix=" ago" />)
    </span>
  );
}

/** A refusal inside a dialog, which stays open for another try. `lead` says what did not happen. */
export function FaultNote({ lead, fault }: { lead: string; fault: FaultText }) {
  return (
    <div role="alert" className="mb-4 rounded-md bg-broken-soft px-3 py-2 text-sm">
      <p className="text-broken">
        {lead} {fault.message}
      </p>
      {fault.next ? <p>{fault.next}</p> : null}
      {fault.requestId ? <RequestId id={fault.requestId} /> : null}
    </div>
  );
}

/** Each try has its own: the same failure is not read again for it. */
export function RequestId({ id }: { id: string }) {
  return (
    <p aria-live="off" className="flex items-center justify-center gap-1 text-xs">
      Request id <code className="font-mono">{id}</code>
      <CopyButton text={id} what="request id" />
    </p>
  );
}

/** A strip above content that is still readable though something about it is not as it should be. */
export function Strip({ tone, children }: { tone: "attention" | "broken" | "info"; children: ReactNode }) {
  const tones = {
    attention: "bg-attention-soft text-attention",
    broken: "bg-broken-soft text-broken",
    info: "bg-info-soft text-info",
  };
  return (
    <div
      role="status"
      className={`flex min-h-8 flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1.5 text-xs ${tones[tone]}`}
    >
      {children}
    </div>
  );
}
