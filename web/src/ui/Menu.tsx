import { Check } from "lucide-react";
import { ContextMenu as Context, DropdownMenu } from "radix-ui";
import { type ReactNode, useRef } from "react";

interface MenuProps {
  trigger: ReactNode;
  children: ReactNode;
  label: string;
  /** Where the focus goes afterwards, instead of to the trigger: prevent the event's default. */
  onCloseAutoFocus?: (event: Event) => void;
}

const CONTENT =
  "z-50 max-h-(--radix-popper-available-height) min-w-44 animate-fade overflow-auto rounded-md border border-line bg-raised p-1 shadow-(--shadow)";

/** Whatever a choice has given the keyboard to, as a terminal that was just opened, keeps it. */
function useUnlessTaken(elsewhere?: (event: Event) => void) {
  // A click outside is Radix's own to see to, which it counts.
  const outside = useRef(false);
  return {
    onInteractOutside: () => {
      outside.current = true;
    },
    onCloseAutoFocus: (event: Event) => {
      if (!outside.current && document.activeElement !== document.body) event.preventDefault();
      outside.current = false;
      elsewhere?.(event);
    },
  };
}

/** A menu under a button. The trigger is any one element that takes a ref. Not modal: a modal one hides from screen readers what Tab still reaches. */
export function Menu({ trigger, children, label, onCloseAutoFocus }: MenuProps) {
  const unlessTaken = useUnlessTaken(onCloseAutoFocus);
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          aria-label={label}
          align="end"
          sideOffset={4}
          collisionPadding={8}
          {...unlessTaken}
          className={CONTENT}
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** The same menu by the other mouse button, or the menu key, on what `trigger` is. */
export function ContextMenu({ trigger, children, label, onCloseAutoFocus }: MenuProps) {
  const unlessTaken = useUnlessTaken(onCloseAutoFocus);
  return (
    <Context.Root modal={false}>
      <Context.Trigger asChild>{trigger}</Context.Trigger>
      <Context.Portal>
        <Context.Content aria-label={label} collisionPadding={8} {...unlessTaken} className={CONTENT}>
          {children}
        </Context.Content>
      </Context.Portal>
    </Context.Root>
  );
}

const ITEM =
  "flex h-8 w-full items-center gap-2 rounded px-2 text-sm outline-none select-none data-disabled:opacity-50 data-highlighted:bg-hover";

interface ItemProps {
  onSelect(): void;
  children: ReactNode;
  disabled?: boolean;
}

export function ContextItem({ onSelect, children, disabled = false }: ItemProps) {
  return (
    <Context.Item disabled={disabled} onSelect={onSelect} className={ITEM}>
      {children}
    </Context.Item>
  );
}

export const ContextLine = () => <Context.Separator className="my-1 h-px bg-line" />;

export function MenuItem({ onSelect, children, disabled = false }: ItemProps) {
  return (
    <DropdownMenu.Item disabled={disabled} onSelect={onSelect} className={ITEM}>
      {children}
    </DropdownMenu.Item>
  );
}

export function MenuCheck({
  checked,
  onChange,
  children,
}: {
  checked: boolean;
  onChange(checked: boolean): void;
  children: ReactNode;
}) {
  return (
    <DropdownMenu.CheckboxItem
      checked={checked}
      onCheckedChange={onChange}
      onSelect={(event) => event.preventDefault()}
      className={ITEM}
    >
      <span className="flex size-4 items-center justify-center">{checked ? <Check className="size-3.5" /> : null}</span>
      {children}
    </DropdownMenu.CheckboxItem>
  );
}

export const MenuLine = () => <DropdownMenu.Separator className="my-1 h-px bg-line" />;
