import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId, useState } from "react";
import { createToken } from "../../api/endpoints.ts";
import { explain } from "../../api/explain.ts";
import { clustersQuery } from "../../api/queries.ts";
import type { AccessTokenList, TokenScope } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { FaultNote } from "../../ui/states.tsx";
import { MadeTokenView } from "./MadeTokenView.tsx";
import { defaultLifetime, FOREVER, lifetimes, nameFault, SCOPES } from "./tokens.ts";

interface NewTokenDialogProps {
  list: AccessTokenList;
  onClose(): void;
}

/** Asks what a token is for, makes it, and shows it once. */
export function NewTokenDialog({ list, onClose }: NewTokenDialogProps) {
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: createToken,
    // The answer holds the secret: it is gone with the dialog.
    gcTime: 0,
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["tokens"] }),
  });
  if (make.data) {
    return (
      <Modal
        onClose={onClose}
        width="max-w-lg"
        title={`${make.data.token.name} is ready`}
        description="Copy it now and keep it like a password: it is not shown again."
      >
        <MadeTokenView secret={make.data.secret} onClose={onClose} />
      </Modal>
    );
  }
  return (
    <Modal
      onClose={onClose}
      width="max-w-lg"
      title="New access token"
      description="Whoever has it acts as you, within what you choose here."
    >
      {make.isError ? <FaultNote lead="No token was made." fault={explain(make.error)} /> : null}
      <Form list={list} busy={make.isPending} onClose={onClose} onMake={(wish) => make.mutate(wish)} />
    </Modal>
  );
}

interface FormProps {
  list: AccessTokenList;
  busy: boolean;
  onClose(): void;
  onMake(wish: Parameters<typeof createToken>[0]): void;
}

/** On a phone the dialog is higher than the window: what makes the token stays in sight. */
const FOOT =
  "max-sm:sticky max-sm:-bottom-5 max-sm:-mx-5 max-sm:-mb-5 max-sm:border-t max-sm:border-line max-sm:bg-raised max-sm:px-5 max-sm:py-3";
/** A field that the keyboard comes to does not stop under it. */
const CLEAR_OF_FOOT = "max-sm:[&_input]:scroll-mb-18 max-sm:[&_select]:scroll-mb-18";

function Form({ list, busy, onClose, onMake }: FormProps) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<ReadonlySet<TokenScope>>(new Set(["read"]));
  const [clusters, setClusters] = useState<ReadonlySet<string> | null>(null);
  const [seconds, setSeconds] = useState(() => defaultLifetime(list.limits.maxLifetimeSeconds));
  const wrong = nameFault(
    name,
    list.tokens.filter(({ own }) => own).map((token) => token.name),
  );
  const ready = name.trim() !== "" && !wrong && scopes.size > 0 && clusters?.size !== 0 && !busy;
  return (
    <form
      className={CLEAR_OF_FOOT}
      onSubmit={(event) => {
        event.preventDefault();
        if (!ready) return;
        onMake({ name: name.trim(), scopes: [...scopes], clusters: [...(clusters ?? [])], lifetimeSeconds: seconds });
      }}
    >
      <NameField value={name} wrong={wrong} onChange={setName} />
      <Group title="What it may do">
        {SCOPES.filter(({ scope }) => scope !== "admin" || list.admin).map(({ scope, name: title, what }) => (
          <Check key={scope} checked={scopes.has(scope)} onChange={() => setScopes(toggled(scopes, scope))}>
            <span className="text-sm">{title}</span>
            <span className="text-xs text-muted">{what}</span>
          </Check>
        ))}
      </Group>
      <Where chosen={clusters} onChange={setClusters} />
      <label className="mt-4 block">
        <span className="mb-1 block text-xs font-medium text-muted">Expires after</span>
        <select
          value={seconds}
          onChange={(event) => setSeconds(Number(event.target.value))}
          className="h-8 w-full rounded-md border border-line-strong bg-surface px-2 text-sm"
        >
          {lifetimes(list.limits).map((choice) => (
            <option key={choice.seconds} value={choice.seconds}>
              {choice.name}
            </option>
          ))}
        </select>
        {seconds === FOREVER ? (
          <span className="mt-1 block text-xs text-attention">It holds until somebody revokes it.</span>
        ) : null}
      </label>
      <div className={`mt-5 flex justify-end gap-2 ${FOOT}`}>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={!ready}>
          {busy ? "Making" : "Make token"}
        </Button>
      </div>
    </form>
  );
}

function NameField({ value, wrong, onChange }: { value: string; wrong: string; onChange(value: string): void }) {
  const note = useId();
  return (
    <div>
      <label>
        <span className="mb-1 block text-xs font-medium text-muted">Name</span>
        <input
          value={value}
          autoFocus
          autoComplete="off"
          placeholder="What uses it, such as deploy-bot"
          aria-describedby={note}
          aria-invalid={wrong !== ""}
          onChange={(event) => onChange(event.target.value)}
          className="h-8 w-full rounded-md border border-line-strong bg-surface px-2 text-sm placeholder:text-muted aria-invalid:border-broken"
        />
      </label>
      <p id={note} role={wrong ? "alert" : undefined} className={wrong ? "mt-1 text-xs text-broken" : "sr-only"}>
        {wrong || "Shown in the list of your tokens and in audit."}
      </p>
    </div>
  );
}

function toggled<T>(set: ReadonlySet<T>, member: T): ReadonlySet<T> {
  const next = new Set(set);
  if (!next.delete(member)) next.add(member);
  return next;
}

interface WhereProps {
  /** Null for all clusters. */
  chosen: ReadonlySet<string> | null;
  onChange(chosen: ReadonlySet<string> | null): void;
}

/** All clusters, also those to come, or some. */
function Where({ chosen, onChange }: WhereProps) {
  const list = useQuery(clustersQuery()).data ?? [];
  return (
    <Group title="Where">
      <Radio checked={chosen === null} onChange={() => onChange(null)}>
        <span className="text-sm">Every cluster</span>
        <span className="text-xs text-muted">Also those that come later</span>
      </Radio>
      <Radio checked={chosen !== null} onChange={() => onChange(chosen ?? new Set())}>
        <span className="text-sm">Only these</span>
        <span className="text-xs text-muted">{chosen ? `${chosen.size} chosen` : ""}</span>
      </Radio>
      {chosen ? (
        <div tabIndex={0} className="max-h-36 overflow-auto outline-offset-[-2px]">
          {list.map(({ name }) => (
            <Check key={name} deep checked={chosen.has(name)} onChange={() => onChange(toggled(chosen, name))}>
              <span className="truncate font-mono text-xs">{name}</span>
            </Check>
          ))}
        </div>
      ) : null}
    </Group>
  );
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className="mt-4">
      <legend className="mb-1 text-xs font-medium text-muted">{title}</legend>
      <div className="overflow-hidden rounded-md border border-line">{children}</div>
    </fieldset>
  );
}

interface ChoiceProps {
  checked: boolean;
  onChange(): void;
  children: ReactNode;
}

const ROW =
  "flex min-h-9 items-center gap-2.5 border-b border-line px-3 py-1 last:border-0 hover:bg-hover has-checked:bg-accent-soft";
const WORDS = "flex min-w-0 flex-1 flex-wrap items-baseline justify-between gap-x-3";

function Check({ checked, onChange, deep = false, children }: ChoiceProps & { deep?: boolean }) {
  return (
    <label className={`${ROW} ${deep ? "pl-8" : ""}`}>
      <input type="checkbox" checked={checked} onChange={onChange} className="accent-(--accent-solid)" />
      <span className={WORDS}>{children}</span>
    </label>
  );
}

function Radio({ checked, onChange, children }: ChoiceProps) {
  return (
    <label className={ROW}>
      <input type="radio" name="where" checked={checked} onChange={onChange} className="accent-(--accent-solid)" />
      <span className={WORDS}>{children}</span>
    </label>
  );
}
