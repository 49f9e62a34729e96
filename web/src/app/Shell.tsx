import { useQuery } from "@tanstack/react-query";
import { Outlet, useNavigate, useParams, useRouteContext } from "@tanstack/react-router";
import { useEffect, useEffectEvent, useMemo, useState } from "react";
import { featuresQuery } from "../api/queries.ts";
import { UserMenu } from "../features/account/UserMenu.tsx";
import { session, signIn } from "../features/auth/session.ts";
import { Chooser } from "../features/dock/Chooser.tsx";
import { Dock } from "../features/dock/Dock.tsx";
import { requestShell } from "../features/dock/request.ts";
import { pageKeys } from "../features/dock/store.ts";
import { runDockUse } from "../features/dock/uses.ts";
import { HelpDialog } from "../features/help/HelpDialog.tsx";
import type { Command, PaletteActions } from "../features/palette/entries.ts";
import { Palette } from "../features/palette/Palette.tsx";
import { changeSettings } from "../lib/settings.ts";
import { ErrorBoundary } from "../ui/ErrorBoundary.tsx";
import { hasModifier, isTyping } from "../ui/keys.ts";
import { NoticeBar } from "../ui/NoticeBar.tsx";
import { isPaletteKey } from "./keys.ts";
import { askSignOutEverywhere, LeaveDialog, leave, useClosedByLeaving } from "./leave.tsx";
import { OfflineBar } from "./OfflineBar.tsx";
import { Rail, RailMenu, toggleTheme } from "./Rail.tsx";
import { TopBar } from "./TopBar.tsx";

type Overlay = "none" | "palette" | "help";

/** The frame around every page: rail, bar, content, and the terminal dock below. */
export function Shell() {
  const [overlay, setOverlay] = useState<Overlay>("none");
  const { cluster = "" } = useParams({ strict: false });
  const { who } = useRouteContext({ from: "__root__" });
  const navigate = useNavigate();
  const features = useQuery(featuresQuery()).data;
  const { commands, actions } = usePalette(who.admin, () => setOverlay("help"));
  useGlobalKeys(setOverlay);
  useClosedByLeaving(() => setOverlay("none"));

  return (
    <div className="flex h-full min-h-0">
      <Rail admin={who.admin} onHelp={() => setOverlay("help")} />
      <div className="relative flex min-w-0 flex-1 flex-col">
        <TopBar
          menu={<RailMenu admin={who.admin} go={(to) => void navigate({ to })} onHelp={() => setOverlay("help")} />}
          user={
            <UserMenu
              who={who}
              tokens={features?.tokens ?? false}
              go={(to) => void navigate({ to })}
              onSignOut={leave}
              onSignOutEverywhere={askSignOutEverywhere}
            />
          }
          onPalette={() => setOverlay("palette")}
        />
        <OfflineBar />
        <main id="page" tabIndex={-1} className="min-h-0 flex-1 outline-none">
          <ErrorBoundary what="this page">
            <Outlet />
          </ErrorBoundary>
        </main>
        <Dock
          owner={who.subject}
          hiddenSeconds={features?.exec.clientHiddenSeconds ?? 0}
          signIn={() => {
            session.set({ phase: "checking" });
            void signIn("");
          }}
        />
      </div>
      {overlay === "palette" ? (
        <Palette onClose={() => setOverlay("none")} cluster={cluster} commands={commands} actions={actions} />
      ) : null}
      {overlay === "help" ? <HelpDialog onClose={() => setOverlay("none")} /> : null}
      <LeaveDialog />
      <Chooser />
      <NoticeBar />
    </div>
  );
}

function usePalette(admin: boolean, showHelp: () => void): { commands: Command[]; actions: PaletteActions } {
  const navigate = useNavigate();
  const help = useEffectEvent(showHelp);
  return useMemo(
    () => ({
      commands: [
        { name: "Show all clusters", words: "fleet list", run: () => void navigate({ to: "/clusters" }) },
        { name: "Show open shells", words: "sessions end kill", run: () => void navigate({ to: "/sessions" }) },
        ...(admin ? agentCommands((add) => void navigate({ to: "/agents", search: { add } })) : []),
        { name: "Switch between light and dark", words: "theme appearance", run: toggleTheme },
        { name: "Theme as the system", words: "appearance", run: () => changeSettings({ theme: "system" }) },
        { name: "Minimise or restore the terminals", words: "dock shell", run: () => runDockUse("toggleDock") },
        { name: "Find a shell among the open ones", words: "dock tabs list", run: () => runDockUse("pickShell") },
        { name: "Two shells side by side, or one", words: "dock split pane", run: () => runDockUse("split") },
        { name: "Terminal in full screen", words: "dock keyboard ctrl-w", run: () => runDockUse("fullScreen") },
        {
          name: "Your sessions",
          words: "account browsers logins",
          run: () => void navigate({ to: "/account/sessions" }),
        },
        { name: "Access tokens", words: "account api curl", run: () => void navigate({ to: "/account/tokens" }) },
        { name: "Sign out everywhere", words: "logout end sessions", run: askSignOutEverywhere },
        { name: "Settings", words: "font renderer sign out", run: () => void navigate({ to: "/settings" }) },
        { name: "Keys", words: "help shortcuts keyboard", run: () => help() },
      ],
      actions: {
        goToCluster: (cluster) => void navigate({ to: "/clusters/$cluster", params: { cluster } }),
        goToPod: (cluster, pod) =>
          void navigate({
            to: "/clusters/$cluster/pods/$namespace/$pod",
            params: { cluster, namespace: pod.namespace, pod: pod.name },
          }),
        openShell: (cluster, pod) => requestShell({ cluster, pod }),
      },
    }),
    [navigate, admin],
  );
}

/** For administrators. */
function agentCommands(go: (add?: string) => void): Command[] {
  return [
    { name: "Agents", words: "clusters links tunnel certificates revoke", run: () => go() },
    { name: "Add cluster", words: "agent enrol token connect", run: () => go("") },
  ];
}

function useGlobalKeys(show: (overlay: Overlay) => void): void {
  const key = useEffectEvent((event: KeyboardEvent) => {
    if (isPaletteKey(event)) show("palette");
    else if (event.key === "?" && !hasModifier(event) && !isTyping(event.target)) show("help");
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    window.addEventListener("keydown", key);
    pageKeys.set((use) => {
      if (use === "palette") show("palette");
      if (use === "leave") document.getElementById("page")?.focus();
    });
    return () => {
      window.removeEventListener("keydown", key);
      pageKeys.set(null);
    };
  }, [show]);
}
