import { Link } from "@tanstack/react-router";
import { Boxes, CircleHelp, Menu as MenuIcon, Moon, Settings, SquareTerminal, Sun, Waypoints } from "lucide-react";
import type { ReactNode } from "react";
import { changeSettings } from "../lib/settings.ts";
import { theme } from "../lib/theme.ts";
import { IconButton } from "../ui/Button.tsx";
import { Mark } from "../ui/Mark.tsx";
import { Menu, MenuItem } from "../ui/Menu.tsx";
import { Tip } from "../ui/Tip.tsx";
import { useStore } from "../ui/useStore.ts";

const ITEM =
  "flex size-9 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text data-[status=active]:bg-accent-soft data-[status=active]:text-accent";

export function toggleTheme(): void {
  changeSettings({ theme: theme.get() === "dark" ? "light" : "dark" });
}

/** The narrow rail at the left; folded into a menu on phones. */
interface RailProps {
  /** Sees to agents too. */
  admin: boolean;
  onHelp(): void;
}

export function Rail({ admin, onHelp }: RailProps) {
  const dark = useStore(theme) === "dark";
  return (
    <nav
      aria-label="Main"
      className="flex w-13 shrink-0 flex-col items-center gap-1 border-r border-line bg-surface py-2 max-sm:hidden"
    >
      <Link to="/clusters" aria-label="Periscope" className="mb-2 rounded-md">
        <Mark className="size-8" />
      </Link>
      <RailLink to="/clusters" label="Clusters" icon={<Boxes aria-hidden className="size-4.5" />} />
      <RailLink to="/sessions" label="Sessions" icon={<SquareTerminal aria-hidden className="size-4.5" />} />
      {admin ? <RailLink to="/agents" label="Agents" icon={<Waypoints aria-hidden className="size-4.5" />} /> : null}
      <div className="mt-auto flex flex-col items-center gap-1">
        <IconButton
          label={dark ? "Light theme" : "Dark theme"}
          icon={dark ? <Sun className="size-4.5" /> : <Moon className="size-4.5" />}
          onClick={toggleTheme}
          className="size-9!"
        />
        <IconButton
          label="Keys"
          keys="?"
          icon={<CircleHelp className="size-4.5" />}
          onClick={onHelp}
          className="size-9!"
        />
        <RailLink to="/settings" label="Settings" icon={<Settings aria-hidden className="size-4.5" />} />
      </div>
    </nav>
  );
}

/** The pages that are a step from everywhere. */
type RailPage = "/clusters" | "/sessions" | "/agents" | "/settings";

function RailLink({ to, label, icon }: { to: RailPage; label: string; icon: ReactNode }) {
  return (
    <Tip text={label}>
      <Link to={to} aria-label={label} className={ITEM}>
        {icon}
      </Link>
    </Tip>
  );
}

/** The rail's contents on a phone. */
export function RailMenu({ admin, go, onHelp }: RailProps & { go(to: RailPage): void }) {
  const trigger = (
    <button
      type="button"
      aria-label="Menu"
      className="-ml-1 inline-flex size-9 shrink-0 items-center justify-center rounded-md text-muted hover:bg-hover sm:hidden"
    >
      <MenuIcon aria-hidden className="size-5" />
    </button>
  );
  return (
    <Menu label="Menu" trigger={trigger}>
      <MenuItem onSelect={() => go("/clusters")}>Clusters</MenuItem>
      <MenuItem onSelect={() => go("/sessions")}>Sessions</MenuItem>
      {admin ? <MenuItem onSelect={() => go("/agents")}>Agents</MenuItem> : null}
      <MenuItem onSelect={() => go("/settings")}>Settings</MenuItem>
      <MenuItem onSelect={toggleTheme}>Light or dark</MenuItem>
      <MenuItem onSelect={onHelp}>Keys</MenuItem>
    </Menu>
  );
}
