import { SquareTerminal } from "lucide-react";
import { type FormEvent, useState } from "react";
import { shellContainers } from "../../api/shells.ts";
import type { ContainerSummary } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { useStore } from "../../ui/useStore.ts";
import { asked, type ShellRequest, startShell } from "./request.ts";

const KINDS: Record<ContainerSummary["kind"], string> = { container: "", init: "init", ephemeral: "ephemeral" };

/** Asks which container, and why, where that is not plain. */
export function Chooser() {
  const request = useStore(asked);
  return request ? <ChooserDialog request={request} onClose={() => asked.set(null)} /> : null;
}

function ChooserDialog({ request, onClose }: { request: ShellRequest; onClose(): void }) {
  const containers = shellContainers(request.pod);
  const preset = request.container ?? request.pod.defaultContainer;
  const first = containers.find((container) => container.name === preset) ?? containers[0];
  const [chosen, setChosen] = useState(first?.name ?? "");
  const [reason, setReason] = useState("");
  const ready = chosen !== "" && (!request.cluster.requireReason || reason.trim() !== "");

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    onClose();
    startShell(request, chosen, reason.trim());
  };
  return (
    <Modal onClose={onClose} title="Open shell" description={`${request.pod.namespace}/${request.pod.name}`}>
      <form onSubmit={submit}>
        <fieldset>
          <legend className="mb-1 text-xs font-medium text-muted">Container</legend>
          <div className="max-h-64 overflow-auto rounded-md border border-line">
            {containers.map((container) => (
              <label
                key={container.name}
                className="flex h-9 items-center gap-2.5 border-b border-line px-3 last:border-0 hover:bg-hover has-checked:bg-accent-soft"
              >
                <input
                  type="radio"
                  name="container"
                  value={container.name}
                  checked={container.name === chosen}
                  autoFocus={container.name === first?.name}
                  onChange={() => setChosen(container.name)}
                  className="accent-(--accent-solid)"
                />
                <span className="truncate font-mono text-sm">{container.name}</span>
                <span className="ml-auto text-xs text-muted">
                  {container.name === request.pod.defaultContainer ? "default" : KINDS[container.kind]}
                </span>
              </label>
            ))}
          </div>
        </fieldset>
        {request.cluster.requireReason ? (
          <label className="mt-4 block">
            <span className="mb-1 block text-xs font-medium text-muted">
              Reason (it is written to the audit record)
            </span>
            <input
              value={reason}
              maxLength={500}
              onChange={(event) => setReason(event.target.value)}
              className="h-8 w-full rounded-md border border-line-strong bg-surface px-2 text-sm"
            />
          </label>
        ) : null}
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={!ready}>
            <SquareTerminal aria-hidden className="size-4" />
            Open shell
          </Button>
        </div>
      </form>
    </Modal>
  );
}
