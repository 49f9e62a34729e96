import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  Link,
  RouterProvider,
  redirect,
} from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { useEffect, useRef } from "react";
import { explain } from "../api/explain.ts";
import type { Whoami } from "../api/types.ts";
import { buttonClass } from "../ui/Button.tsx";
import { Fault, Message } from "../ui/states.tsx";
import {
  AccountSessionsRoute,
  AgentsRoute,
  ClusterRoute,
  ClustersRoute,
  CommandLoginRoute,
  PodRoute,
  SessionsRoute,
  SettingsRoute,
  TokensRoute,
} from "./pages.tsx";
import { Shell } from "./Shell.tsx";
import { parseAgentsSearch, parsePodSearch, parsePodsSearch, parseSessionsSearch } from "./search.ts";

export interface RouterContext {
  who: Whoami;
}

const root = createRootRouteWithContext<RouterContext>()({ component: Shell, notFoundComponent: NotFound });

export const indexRoute = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/clusters", replace: true });
  },
});

export const clustersRoute = createRoute({ getParentRoute: () => root, path: "/clusters", component: ClustersRoute });

export const clusterRoute = createRoute({
  getParentRoute: () => root,
  path: "/clusters/$cluster",
  validateSearch: parsePodsSearch,
  component: ClusterRoute,
});

export const podRoute = createRoute({
  getParentRoute: () => root,
  path: "/clusters/$cluster/pods/$namespace/$pod",
  validateSearch: parsePodSearch,
  component: PodRoute,
});

export const sessionsRoute = createRoute({
  getParentRoute: () => root,
  path: "/sessions",
  validateSearch: parseSessionsSearch,
  component: SessionsRoute,
});

export const accountSessionsRoute = createRoute({
  getParentRoute: () => root,
  path: "/account/sessions",
  component: AccountSessionsRoute,
});

export const tokensRoute = createRoute({
  getParentRoute: () => root,
  path: "/account/tokens",
  validateSearch: (search: Record<string, unknown>): { everybody?: boolean } => ({
    everybody: search.everybody === true || undefined,
  }),
  component: TokensRoute,
});

export const agentsRoute = createRoute({
  getParentRoute: () => root,
  path: "/agents",
  validateSearch: parseAgentsSearch,
  component: AgentsRoute,
});

export const commandLoginRoute = createRoute({
  getParentRoute: () => root,
  path: "/cli",
  validateSearch: (search: Record<string, unknown>): { ask?: string } => ({
    ask: typeof search.ask === "string" ? search.ask.slice(0, 64) : undefined,
  }),
  component: CommandLoginRoute,
});

export const settingsRoute = createRoute({ getParentRoute: () => root, path: "/settings", component: SettingsRoute });

export const router = createRouter({
  routeTree: root.addChildren([
    indexRoute,
    clustersRoute,
    clusterRoute,
    podRoute,
    sessionsRoute,
    settingsRoute,
    accountSessionsRoute,
    tokensRoute,
    commandLoginRoute,
    agentsRoute,
  ]),
  context: { who: undefined as unknown as Whoami },
  defaultErrorComponent: ({ error, reset }) => <Fault fault={explain(error)} retry={reset} />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** All pages, for whoever is signed in. */
export function Pages({ who }: RouterContext) {
  const shown = useRef(who);
  // What the pages know comes with a route as it loads: else they name the person before until one goes elsewhere.
  useEffect(() => {
    if (shown.current === who) return;
    shown.current = who;
    void router.invalidate();
  }, [who]);
  return <RouterProvider router={router} context={{ who }} />;
}

function NotFound() {
  return (
    <Message
      icon={<Compass aria-hidden />}
      title="There is no such page"
      actions={
        <Link to="/clusters" className={buttonClass()}>
          Show the clusters
        </Link>
      }
    >
      <p>The address may be mistyped, or from another version of Periscope.</p>
    </Message>
  );
}
