/** The empty frame that index.html paints first, for as long as it is not known who is there. */
export function BootFrame() {
  return (
    <div role="status" aria-label="Signing in" className="flex h-full">
      <div className="w-13 shrink-0 border-r border-line bg-surface max-sm:hidden" />
      <div className="h-12 flex-1 border-b border-line bg-surface" />
    </div>
  );
}
