import {
  ClipboardCheck,
  Columns2,
  CopyPlus,
  Download,
  Eraser,
  FileDown,
  MoveLeft,
  MoveRight,
  PencilLine,
  Search,
  Unplug,
  Upload,
  X,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import type { ComponentType, ReactNode } from "react";
import { copyText } from "../../lib/clipboard.ts";
import { notify } from "../../lib/notice.ts";
import { commandKeyName } from "../../lib/platform.ts";
import { stepFont } from "../../lib/settings.ts";
import { ContextItem, ContextLine, MenuItem, MenuLine } from "../../ui/Menu.tsx";
import { useStore } from "../../ui/useStore.ts";
import { askDownload, askUpload, copyAsked, placeOfFiles } from "./copying.ts";
import { fileName, saveText } from "./save.ts";
import type { Shell } from "./shell.ts";
import { dock, findIn, focusActive, moveShellBy, requestClose, setRenaming, splitFits, splitWith } from "./store.ts";

interface Kit {
  Item: ComponentType<{ onSelect(): void; children: ReactNode; disabled?: boolean }>;
  Line: ComponentType;
}

export const headerKit: Kit = { Item: MenuItem, Line: MenuLine };
export const tabKit: Kit = { Item: ContextItem, Line: ContextLine };

/** After a menu the keyboard is the shell's again, unless a field took it. */
export function afterMenu(event: Event): void {
  const { renaming, searching } = dock.get();
  if (renaming !== "" || searching || copyAsked.get()) event.preventDefault();
}

/** What can be done with a shell. Of its tab there is more to do than of its header. */
export function ShellMenuItems({ shell, kit: { Item, Line } }: { shell: Shell; kit: Kit }) {
  useStore(shell.state);
  const { shells, activeId } = useStore(dock);
  const { consent } = useStore(shell.clipboard.state);
  const at = shells.indexOf(shell);
  const terminal = shell.terminal;
  const place = placeOfFiles(shell);
  const isTab = Item === ContextItem;
  return (
    <>
      <Item onSelect={() => setRenaming(shell.id)}>
        <Entry icon={<PencilLine />} name="Rename…" keys={isTab ? "F2" : ""} />
      </Item>
      {isTab ? (
        <>
          <Item disabled={at <= 0} onSelect={() => moveShellBy(shell.id, -1)}>
            <Entry icon={<MoveLeft />} name="Move left" keys="Shift ←" />
          </Item>
          <Item disabled={at === shells.length - 1} onSelect={() => moveShellBy(shell.id, 1)}>
            <Entry icon={<MoveRight />} name="Move right" keys="Shift →" />
          </Item>
          {splitFits() ? (
            <Item disabled={shell.id === activeId} onSelect={() => splitWith(shell.id)}>
              <Entry icon={<Columns2 />} name="Show beside the active shell" />
            </Item>
          ) : null}
        </>
      ) : null}
      <Line />
      <Item disabled={!terminal} onSelect={() => copyAll(shell)}>
        <Entry icon={<CopyPlus />} name="Copy everything" />
      </Item>
      <Item disabled={!terminal} onSelect={() => save(shell)}>
        <Entry icon={<FileDown />} name="Save as a text file" />
      </Item>
      <Item disabled={!terminal || terminal.alternateScreen} onSelect={() => terminal?.clear()}>
        <Entry icon={<Eraser />} name="Clear screen and scrollback" />
      </Item>
      <Line />
      <Item disabled={!place} onSelect={() => askUpload(shell)}>
        <Entry icon={<Upload />} name="Upload files…" />
      </Item>
      <Item disabled={!place} onSelect={() => askDownload(shell)}>
        <Entry icon={<Download />} name="Download…" />
      </Item>
      {consent === "ask" ? null : (
        <Item onSelect={() => shell.clipboard.askAgain()}>
          <Entry icon={<ClipboardCheck />} name="Ask again about the clipboard" />
        </Item>
      )}
      <Line />
      {isTab ? (
        <>
          <Item disabled={!shell.live} onSelect={() => shell.disconnect()}>
            <Entry icon={<Unplug />} name="Disconnect" />
          </Item>
          <Item onSelect={() => requestClose(shell)}>
            <Entry icon={<X />} name="Close" keys="Del" />
          </Item>
        </>
      ) : (
        <>
          <Item onSelect={() => findIn(shell)}>
            <Entry icon={<Search />} name="Find…" />
          </Item>
          <Item onSelect={() => stepFont(1)}>
            <Entry icon={<ZoomIn />} name="Larger letters" keys={`${commandKeyName} +`} />
          </Item>
          <Item onSelect={() => stepFont(-1)}>
            <Entry icon={<ZoomOut />} name="Smaller letters" keys={`${commandKeyName} −`} />
          </Item>
        </>
      )}
    </>
  );
}

function Entry({ icon, name, keys = "" }: { icon: ReactNode; name: string; keys?: string }) {
  return (
    <>
      <span aria-hidden className="flex size-4 shrink-0 items-center justify-center text-muted [&>svg]:size-3.5">
        {icon}
      </span>
      {name}
      {keys ? (
        <span aria-hidden className="ml-auto pl-6 text-xs text-muted">
          {keys}
        </span>
      ) : null}
    </>
  );
}

function save(shell: Shell): void {
  const text = shell.terminal?.text() ?? "";
  const container = shell.state.get().hello?.container || shell.target.container;
  saveText(text, fileName({ ...shell.target, container }, new Date()));
}

function copyAll(shell: Shell): void {
  void copyText(shell.terminal?.text() ?? "").then((ok) => {
    notify(ok ? "Copied everything in this shell" : "The browser refused to copy");
    focusActive();
  });
}
