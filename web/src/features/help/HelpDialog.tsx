import { commandKeyName, platform } from "../../lib/platform.ts";
import { Kbd } from "../../ui/Kbd.tsx";
import { Modal } from "../../ui/Modal.tsx";

interface Section {
  title: string;
  keys: [keys: string[], what: string][];
}

const PAGE: Section[] = [
  {
    title: "Everywhere",
    keys: [
      [[commandKeyName, "K"], "Go to a pod, a cluster, or a command"],
      [["Ctrl", "`"], "Minimise or restore the terminals"],
      [["Ctrl", "Shift", "`"], "All shells: find one and go there"],
      [["?"], "Show these keys"],
    ],
  },
  {
    title: "In the list of pods",
    keys: [
      [["j"], "Next row"],
      [["k"], "Previous row"],
      [["Enter"], "Open the pod"],
      [["s"], "Open a shell"],
      [["/"], "Filter"],
      [["Esc"], "Clear the filter"],
    ],
  },
  {
    title: "In the list of sessions",
    keys: [
      [["Enter"], "Open the pod"],
      [["x"], "End the shell"],
      [["o"], "Open your own shell here"],
    ],
  },
];

const TABS: Section["keys"] = [
  [["Ctrl", "Shift", "]"], "Next shell"],
  [["Ctrl", "Shift", "["], "Previous shell"],
  [["Ctrl", "Shift", "\\"], "Two shells side by side, or one"],
  [["Ctrl", "Shift", "←"], "The other one of two (also →)"],
  [["Ctrl", "Shift", "Enter"], "Full screen, where Ctrl+W reaches the shell"],
  [["Ctrl", "Backspace"], "Delete a word (browsers keep Ctrl+W)"],
  [[commandKeyName, "+"], "Larger letters (− smaller, 0 as at first)"],
  [["Ctrl", "F6"], "Leave the terminal for the page"],
  [["Ctrl", "Shift", "F6"], "Leave it for its tab, or for what asks there"],
];

const TAB_ROW: Section = {
  title: "On a shell’s tab",
  keys: [
    [["←"], "Previous tab (→ next)"],
    [["Enter"], "Into the terminal"],
    [["Shift", "←"], "Move the tab (also →)"],
    [["F2"], "Name it"],
    [["Delete"], "Close it"],
  ],
};

const TERMINAL: Record<typeof platform, Section> = {
  mac: {
    title: "In the terminal",
    keys: [
      [["⌘", "C"], "Copy"],
      [["⌘", "V"], "Paste"],
      [["⌘", "F"], "Find"],
      [["⌥"], "Held: select where a program uses the mouse"],
      ...TABS,
    ],
  },
  windows: {
    title: "In the terminal",
    keys: [
      [["Ctrl", "C"], "Copy while text is selected, else interrupt"],
      [["Ctrl", "V"], "Paste"],
      [["Ctrl", "F"], "Find (in full-screen programs: with Shift)"],
      [["Ctrl", "Shift", "K"], "Go to a pod, a cluster, or a command"],
      [["Shift"], "Held: select where a program uses the mouse"],
      ...TABS,
    ],
  },
  linux: {
    title: "In the terminal",
    keys: [
      [["Ctrl", "C"], "Interrupt, always"],
      [["Ctrl", "Shift", "C"], "Copy (also Ctrl+Insert)"],
      [["Ctrl", "Shift", "V"], "Paste (also Shift+Insert)"],
      [["Ctrl", "F"], "Find (in full-screen programs: with Shift)"],
      [["Ctrl", "Shift", "K"], "Go to a pod, a cluster, or a command"],
      [["Shift"], "Held: select where a program uses the mouse"],
      ...TABS,
    ],
  },
};

export function HelpDialog({ onClose }: { onClose(): void }) {
  return (
    <Modal onClose={onClose} title="Keys" width="max-w-4xl">
      <div className="mt-3 grid gap-x-10 gap-y-6 sm:grid-cols-2">
        <div className="flex flex-col gap-6">
          {PAGE.map((section) => (
            <KeyList key={section.title} {...section} />
          ))}
          <KeyList {...TAB_ROW} />
        </div>
        <KeyList {...TERMINAL[platform]} />
      </div>
      <p className="mt-5 text-xs text-muted">
        Links in a terminal open with {commandKeyName} held. The mouse menu of the browser copies and pastes too.
      </p>
    </Modal>
  );
}

function KeyList({ title, keys }: Section) {
  return (
    <section>
      <h3 className="mb-2 text-sm font-semibold">{title}</h3>
      <dl className="flex flex-col gap-1.5">
        {keys.map(([combination, what]) => (
          <div key={what} className="flex items-center justify-between gap-4 text-sm">
            <dt className="text-muted">{what}</dt>
            <dd className="flex shrink-0 gap-1">
              {combination.map((key) => (
                <Kbd key={key} keys={key} />
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
