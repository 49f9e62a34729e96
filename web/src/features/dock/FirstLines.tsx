import { previewOf } from "./paste.ts";

/** What is about to be pasted or copied: its beginning, nothing in it hidden, and how much more there is. */
export function FirstLines({ text, className }: { text: string; className: string }) {
  const { shown, more } = previewOf(text);
  return (
    <pre
      // It scrolls, so the keyboard must reach it.
      tabIndex={0}
      role="group"
      aria-label="The first lines"
      className={`overflow-auto rounded-md border border-line bg-sunken px-3 py-2 font-mono text-xs text-text ${className}`}
    >
      {shown.map((pieces, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines never move
        <div key={line} className="min-h-4">
          {pieces.map(({ text, stands }, at) =>
            stands ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: nor do the pieces
              <mark key={at} className="rounded-xs bg-attention-soft text-attention">
                {text}
              </mark>
            ) : (
              text
            ),
          )}
        </div>
      ))}
      {more > 0 ? <span className="text-muted">{`… and ${more} more ${more === 1 ? "line" : "lines"}`}</span> : null}
    </pre>
  );
}
