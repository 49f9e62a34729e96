import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import type { ReactNode } from "react";
import { IconButton } from "./Button.tsx";
import { unlessComposing } from "./keys.ts";
import { useReturnFocus } from "./useReturnFocus.ts";

interface ModalProps {
  onClose(): void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  /** Tailwind width class. */
  width?: string;
  /** Where the focus goes afterwards, instead of where it was. */
  focusAfter?: () => void;
}

/** A dialog that is open as long as it is rendered. */
export function Modal({ onClose, title, description, children, width = "max-w-md", focusAfter }: ModalProps) {
  const returnFocus = useReturnFocus(focusAfter);
  return (
    <Dialog.Root open onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 animate-fade bg-scrim" />
        <Dialog.Content
          onEscapeKeyDown={unlessComposing}
          {...(description ? {} : NO_DESCRIPTION)}
          onOpenAutoFocus={focusWhole}
          onCloseAutoFocus={returnFocus}
          className={`fixed top-1/2 left-1/2 z-40 max-h-[calc(100dvh-32px)] w-[calc(100vw-32px)] -translate-x-1/2 -translate-y-1/2 animate-fade overflow-auto rounded-lg border border-line bg-raised p-5 shadow-(--shadow) outline-none ${width}`}
        >
          <div className="mb-1 flex items-start justify-between gap-4">
            <Dialog.Title className="text-lg font-semibold">{title}</Dialog.Title>
            <IconButton label="Close" icon={<X className="size-4" />} onClick={onClose} className="-mt-1 -mr-2" />
          </div>
          {description ? (
            <Dialog.Description className="mb-4 text-sm text-muted">{description}</Dialog.Description>
          ) : null}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** The dialog itself, not its first button: nothing there is meant yet. A field that asks for the focus has it already. */
function focusWhole(event: Event): void {
  event.preventDefault();
  if (event.currentTarget instanceof HTMLElement) event.currentTarget.focus();
}

/** Said outright, or Radix warns of a missing description. */
const NO_DESCRIPTION = { "aria-describedby": undefined };
