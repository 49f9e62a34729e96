import { type ReactNode, useEffect, useState } from "react";
import { signedOut } from "../../api/client.ts";
import { type Explained, explain } from "../../api/explain.ts";
import type { AuthConfig, LoginFailure, Whoami } from "../../api/types.ts";
import { BootFrame } from "../../ui/BootFrame.tsx";
import { Button, buttonClass } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { Mark } from "../../ui/Mark.tsx";
import { Fault } from "../../ui/states.tsx";
import { useStore } from "../../ui/useStore.ts";
import { tellActivity } from "./activity.ts";
import { followLogin, recheck, session, signIn, takeCode } from "./session.ts";

/** Shows the page to those who are signed in, and the way in to the others. */
export function AuthGate({ children }: { children(who: Whoami): ReactNode }) {
  const state = useStore(session);
  useEffect(() => {
    const stops = [signedOut.watch(() => void recheck()), followLogin(), tellActivity()];
    void signIn(takeCode(window.location, window.history));
    return () => {
      for (const stop of stops) stop();
    };
  }, []);

  switch (state.phase) {
    case "in":
      return children(state.who);
    case "checking":
      return <BootFrame />;
    case "out":
      return <SignIn config={state.config} message={state.message} failure={state.failure} />;
    case "failed":
      return <Fault fault={explainHere(state.error)} retry={state.again} />;
    case "held":
      return <NotSignedOut error={state.error} everywhere={state.everywhere} again={state.again} />;
  }
}

/** Nothing on these pages is asked again by itself. */
function explainHere(error: unknown): Explained {
  const fault = explain(error);
  if (fault.kind !== "offline") return fault;
  return { ...fault, next: "Check the network and that the server runs, then try again." };
}

interface NotSignedOutProps {
  error: unknown;
  everywhere: boolean;
  again(): Promise<void>;
}

/** Somebody who wanted to leave must not take a failure for having left. */
function NotSignedOut({ error, everywhere, again }: NotSignedOutProps) {
  const [busy, setBusy] = useState(false);
  const repeat = async () => {
    setBusy(true);
    await again();
    setBusy(false);
  };
  const fault = {
    ...explainHere(error),
    title: "You are not signed out",
    next: "This browser still holds your login. Sign out again before you leave it.",
  };
  return (
    <Fault
      fault={fault}
      actions={
        <Button look="primary" aria-disabled={busy} onClick={() => !busy && void repeat()}>
          {everywhere ? "Sign out everywhere" : "Sign out"}
        </Button>
      }
    />
  );
}

interface SignInProps {
  config: AuthConfig;
  message: string;
  failure: LoginFailure | null;
}

function SignIn({ config, message, failure }: SignInProps) {
  return (
    <main className="flex h-full items-center justify-center p-6">
      <div className="w-full max-w-sm rounded-lg border border-line bg-surface p-6">
        <Mark className="mb-4 size-9" />
        <h1 className="text-xl font-semibold">Sign in to Periscope</h1>
        {message ? (
          <p role="alert" className="mt-2 text-sm text-attention">
            {message}
          </p>
        ) : null}
        {failure ? <Failed failure={failure} /> : null}
        {config.mode === "oidc" ? (
          <ByProvider name={config.providerName} again={failure !== null} />
        ) : (
          <ByCode needed={config.codeRequired} />
        )}
      </div>
    </main>
  );
}

/** Why the last try failed, in words to pass on. */
function Failed({ failure: { message, requestId } }: { failure: LoginFailure }) {
  return (
    <div role="alert" className="mt-3 rounded-md border border-line bg-bg p-3 text-sm">
      <p className="font-medium text-broken">You could not be signed in</p>
      <p className="mt-1 break-words">{message}</p>
      <p className="mt-2 flex flex-wrap items-center gap-x-1 text-xs text-muted">
        <span className="shrink-0">Request id</span> <code className="font-mono break-all">{requestId}</code>
        <CopyButton text={requestId} what="request id" />
      </p>
    </div>
  );
}

/** Where to come back to: the page that was asked for. */
const loginAddress = ({ pathname, search }: Location, more: Record<string, string> = {}) =>
  `/api/auth/login?${new URLSearchParams({ next: pathname + search, ...more })}`;

function ByProvider({ name, again }: { name: string; again: boolean }) {
  return (
    <>
      <p className="mt-2 text-sm text-muted">
        You sign in with your organisation’s account; what you may see and do is decided by each cluster.
      </p>
      <a href={loginAddress(window.location)} className={`mt-5 w-full ${buttonClass("primary")}`}>
        {name ? `Sign in with ${name}` : "Sign in"}
      </a>
      {again ? (
        <a href={loginAddress(window.location, { account: "other" })} className={`mt-2 w-full ${buttonClass()}`}>
          Use another account
        </a>
      ) : null}
    </>
  );
}

function ByCode({ needed }: { needed: boolean }) {
  if (!needed) {
    return (
      <Button look="primary" className="mt-5 w-full" onClick={() => void signIn("")}>
        Sign in
      </Button>
    );
  }
  return (
    <p className="mt-2 text-sm text-muted">
      Open the address that <code className="font-mono text-xs text-text">periscope serve</code> printed last in the
      terminal. It ends in a one-time code that lets this browser in; where nobody is signed in any more, it has just
      printed a new one. If the browser that is signed in is gone, start periscope again.
    </p>
  );
}
