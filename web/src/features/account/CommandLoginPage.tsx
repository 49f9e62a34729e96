import { useMutation } from "@tanstack/react-query";
import { CircleCheck, CircleX, Terminal } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { answerLoginAsk, findLoginAsk, loginAsk } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { asFault } from "../../api/fault.ts";
import type { LoginAsk } from "../../api/types.ts";
import { clock } from "../../lib/clock.ts";
import { formatLeft } from "../../lib/time.ts";
import { Age } from "../../ui/Age.tsx";
import { Button } from "../../ui/Button.tsx";
import { Fault, FaultNote, Skeleton } from "../../ui/states.tsx";
import { useAsked } from "../../ui/useAsked.ts";
import { useStore } from "../../ui/useStore.ts";
import { isLoopback, tidyCode } from "./commandLogin.ts";
import { scopeName } from "./tokens.ts";

interface CommandLoginPageProps {
  who: string;
  /** The login that the address names; empty where the person types a code. */
  ask: string;
  /** Goes on to the command's own address. */
  goTo(address: string): void;
}

/** A command line asks to be logged in as the person in front of the page. */
export function CommandLoginPage({ who, ask, goTo }: CommandLoginPageProps) {
  const [found, setFound] = useState<LoginAsk | null>(null);
  return (
    <div className="h-full overflow-auto">
      <div className="mx-auto flex min-h-full max-w-md flex-col justify-center px-4 py-8">
        {ask ? <ByAddress who={who} id={ask} goTo={goTo} /> : null}
        {!ask && found ? <Question who={who} ask={found} goTo={goTo} /> : null}
        {!ask && !found ? <TypeCode onFound={setFound} /> : null}
      </div>
    </div>
  );
}

function ByAddress({ who, id, goTo }: { who: string; id: string; goTo(address: string): void }) {
  const { query, failure } = useAsked({
    queryKey: ["login-ask", id],
    queryFn: ({ signal }) => loginAsk(id, signal),
    // What was asked does not change; the answer is given once.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
  if (query.data) return <Question who={who} ask={query.data} goTo={goTo} />;
  if (!failure) return <Skeleton rows={4} label="Loading who asks" />;
  if (asFault(failure).status === 404) return <Over />;
  return <Fault fault={explain(failure)} who={who} retry={() => query.refetch()} />;
}

function TypeCode({ onFound }: { onFound(ask: LoginAsk): void }) {
  const [code, setCode] = useState("");
  const note = useId();
  const find = useMutation({ mutationFn: findLoginAsk, onSuccess: onFound });
  const whole = tidyCode(code).length === 9;
  return (
    <Card icon={<Terminal aria-hidden />} title="Sign in from a command line">
      <p className="mt-2 text-sm text-muted">
        Type the code that <code className="font-mono text-xs text-text">periscope login --device</code> shows in your
        terminal.
      </p>
      <form
        className="mt-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (whole && !find.isPending) find.mutate(tidyCode(code));
        }}
      >
        {find.isError ? <FaultNote lead="" fault={explain(find.error)} /> : null}
        <label>
          <span className="mb-1 block text-xs font-medium text-muted">Code</span>
          <input
            value={code}
            autoFocus
            autoComplete="one-time-code"
            autoCapitalize="characters"
            spellCheck={false}
            maxLength={16}
            placeholder="BCDF-GHJK"
            aria-describedby={note}
            onChange={(event) => setCode(tidyCode(event.target.value))}
            className="h-11 w-full rounded-md border border-line-strong bg-surface px-3 text-center font-mono text-lg tracking-widest placeholder:text-muted"
          />
        </label>
        <p id={note} className="mt-2 text-xs text-attention">
          Only type a code that you see in a terminal of your own. Whoever sent you one would act as you.
        </p>
        <Button type="submit" look="primary" className="mt-4 w-full" disabled={!whole || find.isPending}>
          Continue
        </Button>
      </form>
    </Card>
  );
}

function Question({ who, ask, goTo }: { who: string; ask: LoginAsk; goTo(address: string): void }) {
  const now = useStore(clock);
  const answer = useMutation({
    mutationFn: (allow: boolean) => answerLoginAsk(ask.id, allow),
    onSuccess: ({ redirect }) => {
      if (isLoopback(redirect)) goTo(redirect);
    },
  });
  if (answer.data) return <Answered allowed={answer.variables ?? false} host={ask.host} />;
  if (answer.isError && asFault(answer.error).status === 404) return <Over />;
  if (Date.parse(ask.expiresAt) <= now) return <Over />;
  return (
    <Card icon={<Terminal aria-hidden />} title="Allow this command line?">
      <p className="mt-2 text-sm text-muted">
        A program asks for an access token that lets it read and open shells as you,{" "}
        <span className="break-all font-mono text-xs text-text">{who}</span>.
      </p>
      <dl className="mt-4 grid grid-cols-[auto_minmax(0,1fr)] items-baseline gap-x-4 gap-y-2 rounded-md border border-line bg-bg p-3 text-sm">
        <Row name="Machine">{ask.host || "it did not say"}</Row>
        <Row name="Program">{ask.agent || "it did not say"}</Row>
        <Row name="Address">{ask.address}</Row>
        <Row name="Asked" plain>
          <Age at={ask.askedAt} suffix=" ago" />
        </Row>
        <Row name="Token" plain>
          <span title="read">{scopeName("read")}</span> and <span title="exec">{scopeName("exec")}</span>,{" "}
          {ask.tokenDays > 0 ? `for ${ask.tokenDays} days` : "for less than a day"}
        </Row>
      </dl>
      <p className="mt-3 text-xs text-attention">
        {ask.device ? (
          "Allow it only if you have just typed the code from your own terminal."
        ) : (
          <>
            Allow it only if you have just run <code className="font-mono">periscope login</code> on this machine.
          </>
        )}
      </p>
      {answer.isError ? (
        <div className="mt-3">
          <FaultNote lead="It was not answered." fault={explain(answer.error)} />
        </div>
      ) : null}
      <div className="mt-4 flex gap-2">
        <Button className="flex-1" disabled={answer.isPending} onClick={() => answer.mutate(false)}>
          Refuse
        </Button>
        <Button look="primary" className="flex-1" disabled={answer.isPending} onClick={() => answer.mutate(true)}>
          Allow
        </Button>
      </div>
      <p className="mt-3 text-center text-xs text-muted">Expires in {formatLeft(ask.expiresAt, now)}</p>
    </Card>
  );
}

function Answered({ allowed, host }: { allowed: boolean; host: string }) {
  if (!allowed) {
    return (
      <Card icon={<CircleX aria-hidden />} title="Refused" said>
        <p className="mt-2 text-sm text-muted">The command gets nothing. You can close this window.</p>
      </Card>
    );
  }
  return (
    <Card icon={<CircleCheck aria-hidden />} title="Allowed" said>
      <p className="mt-2 text-sm text-muted">
        The command on <span className="break-all font-mono text-xs text-text">{host || "the machine"}</span> goes on by
        itself. You can close this window; the token is on the page Access tokens, where you can revoke it.
      </p>
    </Card>
  );
}

function Over() {
  return (
    <Card icon={<CircleX aria-hidden />} title="This login is over" said>
      <p className="mt-2 text-sm text-muted">
        It was answered already, or nobody answered in ten minutes. Run{" "}
        <code className="font-mono text-xs text-text">periscope login</code> again for a new one.
      </p>
    </Card>
  );
}

interface CardProps {
  icon: ReactNode;
  title: string;
  /** It says how something went. */
  said?: boolean;
  children: ReactNode;
}

function Card({ icon, title, said = false, children }: CardProps) {
  return (
    <section className="rounded-lg border border-line bg-surface p-5" role={said ? "status" : undefined}>
      <span className="text-muted [&>svg]:size-7 [&>svg]:stroke-[1.5]">{icon}</span>
      <h1 className="mt-2 text-xl font-semibold">{title}</h1>
      {children}
    </section>
  );
}

function Row({ name, plain = false, children }: { name: string; plain?: boolean; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className={plain ? "" : "font-mono text-xs leading-5 break-all"}>{children}</dd>
    </>
  );
}
