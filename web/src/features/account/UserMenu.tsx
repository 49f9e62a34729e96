import { KeyRound, LogOut, MonitorSmartphone, Settings, UserRound } from "lucide-react";
import type { ReactNode } from "react";
import type { Whoami } from "../../api/types.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Menu, MenuItem, MenuLine } from "../../ui/Menu.tsx";
import { nameOfWho, rightsOf } from "./who.ts";

/** Where the menu leads. */
export type AccountPage = "/account/sessions" | "/account/tokens" | "/settings";

interface UserMenuProps {
  who: Whoami;
  /** Whether this server lets people make access tokens. */
  tokens: boolean;
  go(to: AccountPage): void;
  onSignOut(): void;
  onSignOutEverywhere(): void;
}

/** Who one is here: every shell is opened as them. */
export function UserMenu({ who, tokens, go, onSignOut, onSignOutEverywhere }: UserMenuProps) {
  const name = nameOfWho(who);
  const trigger = (
    <button
      type="button"
      aria-label={`Account of ${name}`}
      className="inline-flex h-8 min-w-8 shrink-0 items-center justify-center gap-2 rounded-md text-xs text-muted hover:bg-hover hover:text-text data-[state=open]:bg-hover md:px-2"
    >
      <span className="flex size-6 items-center justify-center rounded-full border border-line-strong bg-bg">
        <UserRound aria-hidden className="size-3.5" />
      </span>
      <span className="max-w-48 truncate max-md:hidden">{name}</span>
    </button>
  );
  return (
    <Menu label="Account" trigger={trigger}>
      <Identity who={who} name={name} />
      <MenuLine />
      <MenuItem onSelect={() => go("/account/sessions")}>
        <Icon of={<MonitorSmartphone />} />
        Your sessions
      </MenuItem>
      {tokens ? (
        <MenuItem onSelect={() => go("/account/tokens")}>
          <Icon of={<KeyRound />} />
          Access tokens
        </MenuItem>
      ) : null}
      <MenuItem onSelect={() => go("/settings")}>
        <Icon of={<Settings />} />
        Settings
      </MenuItem>
      <MenuLine />
      <MenuItem onSelect={onSignOut}>
        <Icon of={<LogOut />} />
        Sign out
      </MenuItem>
      <MenuItem onSelect={onSignOutEverywhere}>
        <Icon of={null} />
        Sign out everywhere…
      </MenuItem>
    </Menu>
  );
}

function Icon({ of }: { of: ReactNode }) {
  return (
    <span aria-hidden className="flex size-4 items-center justify-center text-muted [&>svg]:size-4">
      {of}
    </span>
  );
}

function Identity({ who, name }: { who: Whoami; name: string }) {
  return (
    <div className="w-64 max-w-[calc(100vw-32px)] px-2 py-2">
      <p className="truncate text-sm font-medium" title={name}>
        {name}
      </p>
      {who.subject !== name ? (
        <p className="truncate font-mono text-xs text-muted" title={who.subject}>
          {who.subject}
        </p>
      ) : null}
      <p className="mt-1.5 flex flex-wrap gap-1">
        <Badge title={who.mode === "dev" ? "No password: for this machine alone" : "By your login provider"}>
          {who.mode}
        </Badge>
        <Badge title="As whom clusters see you">{rightsOf(who)}</Badge>
      </p>
    </div>
  );
}
