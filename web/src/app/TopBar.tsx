import { Link, useLocation, useParams } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { Fragment, type ReactNode } from "react";
import { commandKeyName } from "../lib/platform.ts";
import { Kbd } from "../ui/Kbd.tsx";

interface TopBarProps {
  menu: ReactNode;
  /** Who is signed in, and what they may do about it. */
  user: ReactNode;
  onPalette(): void;
}

/** Where one is, each part a link, and the way to everywhere else. */
export function TopBar({ menu, user, onPalette }: TopBarProps) {
  return (
    <header className="flex h-12 shrink-0 items-center gap-3 border-b border-line bg-surface px-4">
      {menu}
      <Breadcrumb />
      <button
        type="button"
        onClick={onPalette}
        className="ml-auto inline-flex h-8 shrink-0 items-center gap-2 rounded-md border border-line-strong bg-bg px-2.5 text-sm text-muted hover:bg-hover sm:w-56"
      >
        <Search aria-hidden className="size-3.5" />
        <span className="max-sm:sr-only">Go to…</span>
        <span className="sr-only">command palette</span>
        <span aria-hidden className="ml-auto flex gap-1 max-sm:hidden">
          <Kbd keys={commandKeyName} />
          <Kbd keys="K" />
        </span>
      </button>
      {user}
    </header>
  );
}

const PART = "min-w-0 truncate rounded hover:text-accent hover:underline aria-[current=page]:text-text";

const CLUSTERS = { to: "/clusters", name: "Clusters" } as const;
/** What an address begins with, on a phone as long as nothing follows it; all but the clusters end there. */
const PAGES = [
  CLUSTERS,
  { to: "/sessions", name: "Sessions" },
  { to: "/settings", name: "Settings" },
  { to: "/account/sessions", name: "Your sessions" },
  { to: "/account/tokens", name: "Access tokens" },
  { to: "/agents", name: "Agents" },
  { to: "/cli", name: "Sign in from a command line" },
] as const;

function Breadcrumb() {
  const { cluster, namespace, pod } = useParams({ strict: false });
  const path = useLocation().pathname;
  const page = PAGES.find(({ to }) => to === path) ?? CLUSTERS;
  const parts: [key: string, ReactNode][] = [
    [
      page.to,
      <Link
        key="p"
        to={page.to}
        activeOptions={{ exact: true, includeSearch: false }}
        className={`${PART} shrink-0 font-sans text-sm ${cluster ? "max-sm:hidden" : ""}`}
      >
        {page.name}
      </Link>,
    ],
  ];
  if (cluster) {
    parts.push([
      "cluster",
      <Link
        key="k"
        to="/clusters/$cluster"
        params={{ cluster }}
        search={{}}
        activeOptions={{ exact: true, includeSearch: false }}
        title={cluster}
        className={pod ? `${PART} max-sm:max-w-24 max-sm:shrink-0` : PART}
      >
        {cluster}
      </Link>,
    ]);
  }
  if (cluster && namespace) {
    parts.push([
      "namespace",
      <Link
        key="n"
        to="/clusters/$cluster"
        params={{ cluster }}
        search={{ ns: namespace }}
        title={namespace}
        className={`${PART} max-sm:hidden`}
      >
        {namespace}
      </Link>,
    ]);
  }
  if (cluster && namespace && pod) {
    parts.push([
      "pod",
      <Link
        key="p"
        to="/clusters/$cluster/pods/$namespace/$pod"
        params={{ cluster, namespace, pod }}
        activeOptions={{ exact: true, includeSearch: false }}
        title={pod}
        className={PART}
      >
        {pod}
      </Link>,
    ]);
  }
  return (
    <nav aria-label="Breadcrumb" className="flex min-w-0 items-center gap-1.5 font-mono text-xs text-muted">
      {parts.map(([key, part], index) => (
        <Fragment key={key}>
          {index > 0 ? (
            <span aria-hidden className={key === "pod" ? "" : "max-sm:hidden"}>
              /
            </span>
          ) : null}
          {part}
        </Fragment>
      ))}
    </nav>
  );
}
