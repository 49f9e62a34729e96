interface TailNameProps {
  name: string;
  /** Somebody chose it: it says what it is about at its beginning, and is cut at its end. */
  given?: boolean;
  className?: string;
}

const NUMBER = / \(\d+\)$/;
/** A name of so many letters is cut at its end: most of it would be its tail. */
const SHORT = 12;

/** What a pod's siblings differ in, and the number after it. */
function tailOf(name: string): string {
  const end = NUMBER.exec(name)?.index ?? name.length;
  return name.slice(end > SHORT ? end - 6 : end);
}

/** A name that is cut in the middle where there is no room: its end tells it from its siblings. */
export function TailName({ name, given = false, className = "" }: TailNameProps) {
  if (given) return <span className={`truncate ${className}`}>{name}</span>;
  const tail = tailOf(name);
  return (
    <span className={`flex min-w-0 whitespace-pre ${className}`}>
      <span className="truncate whitespace-pre">{name.slice(0, name.length - tail.length)}</span>
      <span className="shrink-0">{tail}</span>
    </span>
  );
}
