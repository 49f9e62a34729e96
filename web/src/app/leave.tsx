import { useLocation } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
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

/** What lies over a page does not stay when the page goes, by the browser's Back for instance. */
export function useClosedByLeaving(close: () => void): void {
  const { pathname } = useLocation();
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    close();
  });
}

/** The question before signing out everywhere, wherever it was asked for. */
export function LeaveDialog() {
  useClosedByLeaving(() => asking.set(false));
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
