import { Bug, SquareTerminal } from "lucide-react";
import { type FormEvent, useState } from "react";
import { kindWord, shellContainers } from "../../api/shells.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { useStore } from "../../ui/useStore.ts";
import { isReason, ReasonField } from "./ReasonField.tsx";
import { asked, type ShellRequest, startShell } from "./request.ts";

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
  const ready = chosen !== "" && (!request.cluster.requireReason || isReason(reason));

  const { namespace, name } = request.pod;
  const title = request.debug ? "Debug container" : "Open shell";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    onClose();
    startShell(request, chosen, reason.trim());
  };
  return (
    <Modal
      onClose={onClose}
      title={title}
      description={
        <span className="font-mono text-xs wrap-anywhere">{`${request.cluster.name} · ${namespace}/${name}`}</span>
      }
    >
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
                  autoFocus={container.name === first?.name && !request.cluster.requireReason}
                  onChange={() => setChosen(container.name)}
                  className="accent-(--accent-solid)"
                />
                <span className="truncate font-mono text-sm">{container.name}</span>
                <span className="ml-auto text-xs text-muted">
                  {container.name === request.pod.defaultContainer ? "default" : kindWord(container)}
                </span>
              </label>
            ))}
          </div>
        </fieldset>
        {request.cluster.requireReason ? <ReasonField value={reason} onChange={setReason} focus /> : null}
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={!ready}>
            {request.debug ? <Bug aria-hidden className="size-4" /> : <SquareTerminal aria-hidden className="size-4" />}
            {title}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
