import { Bug, ChevronDown } from "lucide-react";
import { notify } from "../lib/notice.ts";
import { Button } from "./Button.tsx";
import { Menu, MenuItem } from "./Menu.tsx";
import { Tip } from "./Tip.tsx";

interface DebugButtonProps {
  /** The default first. */
  images: string[];
  onDebug(image: string): void;
  look?: "primary" | "plain";
  /** Why it cannot be; empty where it can. */
  whyNot?: string;
  /** What is read out, where the page has several. */
  label?: string;
  text?: string;
  /** The one that is marked as the default; the first, if not said. */
  preset?: string;
}

/** Adds a debug container: at once where there is one image, else by a menu of them. */
export function DebugButton({
  images,
  onDebug,
  look,
  whyNot = "",
  label,
  text = "Debug container",
  preset = images[0],
}: DebugButtonProps) {
  const [first = ""] = images;
  const menu = images.length > 1 && whyNot === "";
  const button = (
    <Button
      size="sm"
      look={look}
      aria-label={label}
      aria-disabled={whyNot !== ""}
      onClick={() => {
        if (whyNot) notify(whyNot);
        else if (!menu) onDebug(first);
      }}
    >
      <Bug aria-hidden className="size-3.5" />
      {text}
      {menu ? <ChevronDown aria-hidden className="-mr-0.5 size-3" /> : null}
    </Button>
  );
  if (!menu) return <Tip text={whyNot}>{button}</Tip>;
  return (
    <Menu label="Image of the debug container" trigger={button}>
      {images.map((image) => (
        <MenuItem key={image} onSelect={() => onDebug(image)}>
          <span className="truncate font-mono text-xs">{image}</span>
          {image === preset ? <span className="ml-auto pl-4 text-xs text-muted">default</span> : null}
        </MenuItem>
      ))}
    </Menu>
  );
}
