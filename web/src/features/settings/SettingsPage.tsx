import type { ReactNode } from "react";
import type { Whoami } from "../../api/types.ts";
import { commandKeyName } from "../../lib/platform.ts";
import {
  CLIPBOARD_CHOICES,
  CURSORS,
  changeSettings,
  FONT_SIZES,
  HIDDEN_MINUTES,
  RENDERERS,
  SCROLLBACKS,
  settings,
  THEMES,
} from "../../lib/settings.ts";
import { formatAbsolute } from "../../lib/time.ts";
import { Button } from "../../ui/Button.tsx";
import { useStore } from "../../ui/useStore.ts";
import { Select } from "./Select.tsx";

const THEME_NAMES = { system: "As the system", light: "Light", dark: "Dark" };
const RENDERER_NAMES = { auto: "Auto", dom: "DOM" };
const CURSOR_NAMES = { block: "Block", bar: "Bar", underline: "Underline" };
const CLIPBOARD_NAMES = { ask: "Ask in each shell", never: "Never" };

interface SettingsPageProps {
  who: Whoami;
  version: string;
  /** What holds for a hidden page as long as nothing is chosen, in seconds. */
  hiddenSeconds: number;
  onSignOut(): void;
}

/** What this browser remembers, and who one is here. */
export function SettingsPage({ who, version, hiddenSeconds, onSignOut }: SettingsPageProps) {
  const now = useStore(settings);
  return (
    <div className="h-full overflow-auto">
      <div className="mx-auto max-w-2xl px-4 py-5">
        <h1 className="mb-4 text-xl font-semibold">Settings</h1>
        <Group title="Appearance">
          <Setting name="Theme">
            <Select
              label="Theme"
              value={now.theme}
              options={THEMES.map((value) => ({ value, name: THEME_NAMES[value] }))}
              onChange={(theme) => changeSettings({ theme })}
            />
          </Setting>
        </Group>
        <Group title="Terminal">
          <Setting name="Font size" note={`In a terminal: ${commandKeyName} with +, − or 0.`}>
            <Select
              label="Font size"
              value={now.fontSize}
              options={FONT_SIZES.map((value) => ({ value, name: `${value} px` }))}
              onChange={(fontSize) => changeSettings({ fontSize })}
            />
          </Setting>
          <Setting name="Cursor">
            <Select
              label="Cursor"
              value={now.cursor}
              options={CURSORS.map((value) => ({ value, name: CURSOR_NAMES[value] }))}
              onChange={(cursor) => changeSettings({ cursor })}
            />
          </Setting>
          <Switch
            name="Cursor blinks"
            note="Never where the system asks for less motion."
            on={now.cursorBlink}
            onChange={(cursorBlink) => changeSettings({ cursorBlink })}
          />
          <Setting name="Lines kept above the screen">
            <Select
              label="Lines kept above the screen"
              value={now.scrollback}
              options={SCROLLBACKS.map((value) => ({ value, name: value.toLocaleString() }))}
              onChange={(scrollback) => changeSettings({ scrollback })}
            />
          </Setting>
          <Setting
            name="Renderer"
            note="Auto draws with the graphics card where it can. DOM is slower and always works."
          >
            <Select
              label="Renderer"
              value={now.renderer}
              options={RENDERERS.map((value) => ({ value, name: RENDERER_NAMES[value] }))}
              onChange={(renderer) => changeSettings({ renderer })}
            />
          </Setting>
          <Switch
            name="Copy what is selected"
            note="At once, when the mouse lets go."
            on={now.copyOnSelect}
            onChange={(copyOnSelect) => changeSettings({ copyOnSelect })}
          />
          <Switch
            name="Warn before a risky paste"
            note="Several lines that would run at once, much text, or characters that one cannot see."
            on={now.pasteWarning}
            onChange={(pasteWarning) => changeSettings({ pasteWarning })}
          />
          <Setting
            name="Programs may set your clipboard"
            note="By the escape sequence OSC 52, as editors and tmux do. None can ever read it."
          >
            <Select
              label="Programs may set your clipboard"
              value={now.clipboard}
              options={CLIPBOARD_CHOICES.map((value) => ({ value, name: CLIPBOARD_NAMES[value] }))}
              onChange={(clipboard) => changeSettings({ clipboard })}
            />
          </Setting>
          <Setting
            name="Let go of the shells of a hidden page"
            note="Where nothing was typed or printed in them for so long. The server keeps them for a while; they come back when you look again. Time in which the computer sleeps does not count."
          >
            <Select
              label="Let go of the shells of a hidden page"
              value={now.hiddenMinutes ?? hiddenSeconds / 60}
              options={hiddenOptions(hiddenSeconds / 60)}
              onChange={(hiddenMinutes) => changeSettings({ hiddenMinutes })}
            />
          </Setting>
          <Switch
            name="Mark tabs whose shell rang the bell"
            on={now.bell}
            onChange={(bell) => changeSettings({ bell })}
          />
          <Switch
            name="Support screen readers"
            note="Keeps the terminal’s text readable for them; costs some speed."
            on={now.screenReader}
            onChange={(screenReader) => changeSettings({ screenReader })}
          />
        </Group>
        <Group title="You">
          <Fact name="Signed in as">{who.subject}</Fact>
          {who.email && who.email !== who.subject ? <Fact name="E-mail">{who.email}</Fact> : null}
          <Fact name="Groups">{who.groups.length > 0 ? who.groups.join(", ") : "none"}</Fact>
          <Fact name="How clusters see you">{authzText(who)}</Fact>
          {who.expiresAt ? <Fact name="Signed in until">{formatAbsolute(who.expiresAt)}</Fact> : null}
          <Fact name="Periscope">{version || "–"}</Fact>
          <div className="flex justify-end px-4 py-2.5">
            <Button onClick={onSignOut}>Sign out</Button>
          </div>
        </Group>
      </div>
    </div>
  );
}

/** The server's own figure stands among the usual ones. */
function hiddenOptions(byDefault: number): { value: number; name: string }[] {
  const minutes = [...new Set([...HIDDEN_MINUTES, byDefault])].sort((a, b) => a - b);
  return minutes.map((value) => ({ value, name: value === 0 ? "Never" : `After ${value} min` }));
}

function authzText({ authzMode, tier }: Whoami): string {
  if (authzMode === "shared") return "as the server’s own identity";
  if (authzMode === "tier") return `as yourself, with the tier "${tier || "none"}"`;
  return "as yourself, with your own groups";
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="mb-6">
      <h2 className="mb-2 text-sm font-semibold">{title}</h2>
      <div className="divide-y divide-line rounded-lg border border-line bg-surface">{children}</div>
    </section>
  );
}

function Setting({ name, note, children }: { name: string; note?: string; children: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-1 px-4 py-2.5">
      <div className="min-w-0 flex-1 basis-32">
        <p className="text-sm">{name}</p>
        {note ? <p className="text-xs text-muted">{note}</p> : null}
      </div>
      {children}
    </div>
  );
}

function Switch({
  name,
  note,
  on,
  onChange,
}: {
  name: string;
  note?: string;
  on: boolean;
  onChange(on: boolean): void;
}) {
  return (
    <Setting name={name} note={note}>
      <input
        type="checkbox"
        role="switch"
        aria-label={name}
        checked={on}
        onChange={(event) => onChange(event.target.checked)}
        className="size-4 accent-(--accent-solid)"
      />
    </Setting>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex flex-wrap items-baseline justify-between gap-x-6 px-4 py-2.5 text-sm">
      <span className="text-muted">{name}</span>
      <span className="min-w-0 font-mono text-xs wrap-anywhere">{children}</span>
    </div>
  );
}
