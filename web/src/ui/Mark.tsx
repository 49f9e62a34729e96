/** The product's sign: a periscope, looking to the right. */
export function Mark({ className = "size-6" }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={className}>
      <rect width="32" height="32" rx="7" fill="var(--accent-solid)" />
      <path d="M12 26V11a4 4 0 0 1 4-4h7v6h-5v13z" fill="var(--on-accent)" />
      <circle cx="20.5" cy="10" r="1.6" fill="var(--accent-solid)" />
    </svg>
  );
}
