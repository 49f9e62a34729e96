import { ChevronsUpDown, EllipsisVertical, Info, Search, Unplug } from "lucide-react";
import { Popover } from "radix-ui";
import { type ReactNode, useState } from "react";
import { Button, IconButton } from "../../ui/Button.tsx";
import { Menu } from "../../ui/Menu.tsx";
import { useStore } from "../../ui/useStore.ts";
import { LivePill } from "./marks.tsx";
import { ShellInfo } from "./ShellInfo.tsx";
import { afterMenu, headerKit, ShellMenuItems } from "./ShellMenu.tsx";
import { ShellPicker } from "./ShellPicker.tsx";
import type { Shell } from "./shell.ts";
import { findIn, showInPane } from "./store.ts";
import { TailName } from "./TailName.tsx";
import { lookedInto, placeOf } from "./target.ts";

interface ShellHeaderProps {
  shell: Shell;
  active: boolean;
  split: boolean;
}

export function ShellHeader({ shell, active, split }: ShellHeaderProps) {
  const state = useStore(shell.state);
  return (
    <div
      className={`flex h-9 shrink-0 items-center gap-2 border-b border-line pr-1 pl-3 ${
        split && active ? "bg-surface shadow-[inset_0_2px_0_var(--accent)]" : split ? "bg-bg" : ""
      }`}
    >
      {split ? (
        <PaneChoice shell={shell}>
          <Where shell={shell} />
        </PaneChoice>
      ) : (
        <Where shell={shell} />
      )}
      <LivePill state={state} />
      <div className="ml-auto flex shrink-0 items-center gap-0.5">
        <IconButton
          label="Find in terminal"
          icon={<Search className="size-4" />}
          onClick={() => findIn(shell)}
          className="@max-md:hidden"
        />
        <About shell={shell} />
        <Menu
          label="More for this shell"
          onCloseAutoFocus={afterMenu}
          trigger={
            <button
              type="button"
              aria-label="More for this shell"
              title="More for this shell"
              className="inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text data-[state=open]:bg-hover"
            >
              <EllipsisVertical aria-hidden className="size-4" />
            </button>
          }
        >
          <ShellMenuItems shell={shell} kit={headerKit} />
        </Menu>
        <Button look="quiet" size="sm" disabled={!shell.live} onClick={() => shell.disconnect()} title="End this shell">
          <Unplug aria-hidden className="size-3.5" />
          <span className="@max-4xl:sr-only">Disconnect</span>
        </Button>
      </div>
    </div>
  );
}

/** cluster · namespace/pod · container · program; where there is no room, the pod stays, and before it the cluster. */
function Where({ shell }: { shell: Shell }) {
  const { hello, name } = useStore(shell.state);
  const { cluster, namespace, pod } = shell.target;
  const container = lookedInto(shell.target) ? placeOf(shell.target) : hello?.container || shell.target.container;
  return (
    <span className="flex min-w-0 items-center gap-1.5 font-mono text-xs whitespace-nowrap text-muted">
      {name ? (
        <strong className="max-w-40 min-w-8 shrink-9 truncate font-sans font-semibold text-text @max-md:hidden">
          {name}
        </strong>
      ) : null}
      <span className="max-w-32 shrink-0 truncate @max-md:max-w-20">{cluster}</span>
      <span>·</span>
      <span className="flex min-w-0 overflow-hidden text-text">
        <span className="@max-3xl:hidden">{namespace}/</span>
        <TailName name={pod} />
      </span>
      <span className="truncate @max-2xl:hidden">· {container}</span>
      {hello?.shell ? <span className="shrink-0 @max-4xl:hidden">· {hello.shell}</span> : null}
    </span>
  );
}

/** In a split each pane's own name leads to the list of what else it could show. */
function PaneChoice({ shell, children }: { shell: Shell; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <ShellPicker
      label="Show in this pane"
      open={open}
      onOpenChange={setOpen}
      current={shell.id}
      onChoose={(id) => showInPane(shell.id, id)}
      trigger={
        <button
          type="button"
          aria-label={`Shell in this pane: ${shell.target.pod}`}
          title="Show another shell in this pane"
          className="-ml-1.5 flex h-7 min-w-0 items-center gap-1.5 rounded-md px-1.5 hover:bg-hover data-[state=open]:bg-hover"
        >
          {children}
          <ChevronsUpDown aria-hidden className="size-3 shrink-0 text-muted" />
        </button>
      }
    />
  );
}

function About({ shell }: { shell: Shell }) {
  return (
    <Popover.Root>
      <Popover.Trigger asChild>
        <button
          type="button"
          aria-label="About this shell"
          title="About this shell"
          className="inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text data-[state=open]:bg-hover"
        >
          <Info aria-hidden className="size-4" />
        </button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          aria-label="About this shell"
          align="end"
          side="top"
          sideOffset={6}
          collisionPadding={8}
          className="z-50 w-96 max-w-[calc(100vw-16px)] animate-fade rounded-lg border border-line bg-raised p-4 shadow-(--shadow)"
        >
          <ShellInfo shell={shell} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
