import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { copyText } from "../../lib/clipboard.ts";
import { notify } from "../../lib/notice.ts";
import { Button } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/Copy.tsx";
import { curlExample } from "./tokens.ts";

/** The one time that a token is shown. */
export function MadeTokenView({ secret, onClose }: { secret: string; onClose(): void }) {
  const [copied, setCopied] = useState(false);
  const example = curlExample(secret, window.location.origin);
  const copy = async () => {
    const done = await copyText(secret);
    setCopied(done);
    if (!done) notify("The browser refused to copy it: select it and copy it yourself");
  };
  return (
    <>
      <div className="flex items-start gap-2">
        <code
          data-testid="new-token"
          className="min-w-0 flex-1 rounded-md border border-line-strong bg-bg px-2.5 py-1.5 font-mono text-xs leading-5 break-all select-all"
        >
          {secret}
        </code>
        <Button look={copied ? "plain" : "primary"} autoFocus onClick={() => void copy()}>
          {copied ? <Check aria-hidden className="size-4 text-ok" /> : <Copy aria-hidden className="size-4" />}
          {copied ? "Copied" : "Copy token"}
        </Button>
      </div>
      <div className="mt-4 mb-1 flex items-center justify-between">
        <p className="text-xs font-medium text-muted">Try it</p>
        <CopyButton text={example} what="the example" />
      </div>
      <pre className="rounded-md border border-line bg-bg px-2.5 py-2 font-mono text-xs leading-5 break-all whitespace-pre-wrap">
        {curlExample("psc_…", window.location.origin)}
      </pre>
      <div className="mt-5 flex justify-end">
        <Button onClick={onClose}>Done</Button>
      </div>
    </>
  );
}
