import { Circle, CircleAlert, CircleCheck, CircleX, Info } from "lucide-react";
import type { Tone } from "../lib/podStatus.ts";

const ICONS = { ok: CircleCheck, attention: CircleAlert, broken: CircleX, info: Info, neutral: Circle };

export const TONE_TEXT: Record<Tone, string> = {
  ok: "text-ok",
  attention: "text-attention",
  broken: "text-broken",
  info: "text-info",
  neutral: "text-muted",
};

/** A state as an icon and a word: the colour only repeats what they say. */
export function Status({ tone, word }: { tone: Tone; word: string }) {
  const Icon = ICONS[tone];
  return (
    <span className={`inline-flex min-w-0 items-baseline gap-1.5 ${TONE_TEXT[tone]}`}>
      <Icon aria-hidden className="size-3.5 shrink-0 self-center" strokeWidth={2.25} />
      <span className="truncate">{word}</span>
    </span>
  );
}
