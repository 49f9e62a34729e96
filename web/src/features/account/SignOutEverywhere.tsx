import { useQuery } from "@tanstack/react-query";
import { loginsQuery, sessionsQuery, tokensQuery } from "../../api/queries.ts";
import { Button } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { whatEnds } from "./words.ts";

interface SignOutEverywhereProps {
  onClose(): void;
  onSignOut(): void;
}

/** Asks once and says what it ends. */
export function SignOutEverywhere({ onClose, onSignOut }: SignOutEverywhereProps) {
  const logins = useQuery(loginsQuery()).data;
  const shells = useQuery(sessionsQuery()).data?.sessions.filter(({ own }) => own);
  const tokens = useQuery(tokensQuery(false)).data?.tokens;
  return (
    <Modal
      onClose={onClose}
      title="Sign out everywhere?"
      description="For when a device is lost, or you are not sure who else is signed in as you."
    >
      <ul className="mb-5 list-disc space-y-1 pl-5 text-sm">
        {whatEnds(logins?.length, shells?.length, tokens?.length).map((words) => (
          <li key={words}>{words}</li>
        ))}
      </ul>
      <div className="flex justify-end gap-2">
        <Button autoFocus onClick={onClose}>
          Stay signed in
        </Button>
        <Button look="danger" onClick={onSignOut}>
          Sign out everywhere
        </Button>
      </div>
    </Modal>
  );
}
