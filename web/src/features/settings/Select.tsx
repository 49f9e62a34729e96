interface SelectProps<T extends string | number> {
  label: string;
  value: T;
  options: readonly { value: T; name: string }[];
  onChange(value: T): void;
}

export function Select<T extends string | number>({ label, value, options, onChange }: SelectProps<T>) {
  return (
    <select
      aria-label={label}
      value={String(value)}
      onChange={(event) => {
        const chosen = options.find((option) => String(option.value) === event.target.value);
        if (chosen) onChange(chosen.value);
      }}
      className="h-8 rounded-md border border-line-strong bg-surface px-2 text-sm"
    >
      {options.map((option) => (
        <option key={option.value} value={String(option.value)}>
          {option.name}
        </option>
      ))}
    </select>
  );
}
