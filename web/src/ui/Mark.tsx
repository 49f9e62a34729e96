/** The product's sign: a periscope above the waves. */
export function Mark({ className = "size-6" }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={className} fill="none" stroke="var(--on-accent)">
      <rect width="32" height="32" rx="7" fill="var(--accent-solid)" stroke="none" />
      <path d="M14 21V11.5a3 3 0 0 1 3-3h4" strokeWidth="4.5" strokeLinejoin="round" />
      <path d="M22.5 5v7" strokeWidth="3" strokeLinecap="round" />
      <path d="M5 24.5q2.75-2.5 5.5 0t5.5 0 5.5 0 5.5 0" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
