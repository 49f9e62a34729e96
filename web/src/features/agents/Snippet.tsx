import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { copyText } from "../../lib/clipboard.ts";
import { notify } from "../../lib/notice.ts";
import { Button } from "../../ui/Button.tsx";

interface SnippetProps {
  /** What it is, above it and for whoever hears the page: "Command". */
  name: string;
  text: string;
  /** It is what this part of the page is for. */
  primary?: boolean;
  testId?: string;
}

/** Text to be pasted elsewhere. */
export function Snippet({ name, text, primary = false, testId }: SnippetProps) {
  const [copied, setCopied] = useState("");
  const done = copied === text;
  const copy = async () => {
    const ok = await copyText(text);
    setCopied(ok ? text : "");
    if (!ok) notify("The browser refused to copy it: select it and copy it yourself");
  };
  return (
    <div>
      <div className="mb-1 flex items-end justify-between gap-3">
        <p className="text-xs font-medium text-muted">{name}</p>
        <Button
          size="sm"
          look={primary && !done ? "primary" : "plain"}
          aria-label={`Copy ${lower(name)}`}
          onClick={() => void copy()}
        >
          {done ? <Check aria-hidden className="size-3.5 text-ok" /> : <Copy aria-hidden className="size-3.5" />}
          {done ? "Copied" : "Copy"}
        </Button>
      </div>
      <pre
        data-testid={testId}
        className="rounded-md border border-line-strong bg-bg px-2.5 py-2 font-mono text-xs leading-5 break-all whitespace-pre-wrap text-text select-all"
      >
        {text}
      </pre>
    </div>
  );
}

const lower = (name: string) => `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
