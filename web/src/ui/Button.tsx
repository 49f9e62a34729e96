import type { ComponentProps, ReactNode } from "react";
import { Tip } from "./Tip.tsx";

type Look = "primary" | "plain" | "quiet" | "danger";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent-solid text-on-accent border-transparent hover:brightness-110 disabled:brightness-100",
  plain: "bg-surface text-text border-line-strong hover:bg-hover",
  quiet: "bg-transparent text-muted border-transparent hover:bg-hover hover:text-text",
  danger: "bg-broken-solid text-white border-transparent hover:brightness-110",
};

const BASE =
  "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap select-none disabled:opacity-50 aria-disabled:opacity-50 aria-disabled:cursor-default";

const SIZES = { sm: "h-7 px-2 text-xs", md: "h-8 px-3 text-sm" };

interface ButtonProps extends ComponentProps<"button"> {
  look?: Look;
  size?: keyof typeof SIZES;
}

export function buttonClass(look: Look = "plain", size: keyof typeof SIZES = "md"): string {
  return `${BASE} ${SIZES[size]} ${LOOKS[look]}`;
}

export function Button({ look, size, className = "", ...rest }: ButtonProps) {
  return <button type="button" {...rest} className={`${buttonClass(look, size)} ${className}`} />;
}

interface IconButtonProps extends ComponentProps<"button"> {
  label: string;
  /** Shown beside the label in the tooltip. */
  keys?: string;
  icon: ReactNode;
}

/** A button of one icon: its name is its tooltip. */
export function IconButton({ label, keys, icon, className = "", ...rest }: IconButtonProps) {
  return (
    <Tip text={keys ? `${label} (${keys})` : label}>
      <button
        type="button"
        aria-label={label}
        {...rest}
        className={`inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text disabled:opacity-40 ${className}`}
      >
        {icon}
      </button>
    </Tip>
  );
}
