import type { ReactNode } from "react";

const TONES = {
  neutral: "border-line-strong text-muted",
  accent: "border-transparent bg-accent-soft text-accent",
  attention: "border-transparent bg-attention-soft text-attention",
};

interface BadgeProps {
  children: ReactNode;
  tone?: keyof typeof TONES;
  title?: string;
}

/** A word that belongs to what stands beside it. */
export function Badge({ children, tone = "neutral", title }: BadgeProps) {
  return (
    <span
      title={title}
      className={`inline-flex h-5 max-w-full items-center truncate rounded border px-1.5 text-xs ${TONES[tone]}`}
    >
      {children}
    </span>
  );
}
