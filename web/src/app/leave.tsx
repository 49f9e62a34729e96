import { SignOutEverywhere } from "../features/account/SignOutEverywhere.tsx";
import { signOut, signOutEverywhere } from "../features/auth/session.ts";
import { endAllShells } from "../features/dock/restore.ts";
import { Store } from "../lib/store.ts";
import { useStore } from "../ui/useStore.ts";

/** Whether it is asked if to sign out everywhere. */
const asking = new Store(false);

export const askSignOutEverywhere = () => asking.set(true);

/** Signs this browser out; its shells end first, so that none tries to come back. */
export function leave(): void {
  endAllShells();
  void signOut();
}

/** The question before signing out everywhere, wherever it was asked for. */
export function LeaveDialog() {
  if (!useStore(asking)) return null;
  return (
    <SignOutEverywhere
      onClose={() => asking.set(false)}
      onSignOut={() => {
        asking.set(false);
        endAllShells();
        void signOutEverywhere();
      }}
    />
  );
}
