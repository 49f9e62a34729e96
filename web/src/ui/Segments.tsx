interface SegmentsProps<T> {
  label: string;
  value: T;
  choices: readonly { name: string; value: T }[];
  onChange(value: T): void;
}

/** One of a few, side by side. */
export function Segments<T>({ label, value, choices, onChange }: SegmentsProps<T>) {
  return (
    <div
      role="group"
      aria-label={label}
      className="flex h-8 items-stretch overflow-hidden rounded-md border border-line-strong"
    >
      {choices.map((choice) => (
        <button
          key={choice.name}
          type="button"
          aria-pressed={value === choice.value}
          onClick={() => onChange(choice.value)}
          className="border-r border-line-strong bg-surface px-2.5 text-sm text-muted outline-offset-[-2px] last:border-0 hover:bg-hover aria-pressed:bg-accent-soft aria-pressed:font-medium aria-pressed:text-accent"
        >
          {choice.name}
        </button>
      ))}
    </div>
  );
}
