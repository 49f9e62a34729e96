import { useEffect } from "react";

/** Names the browser's tab: the most particular part first, since tabs are narrow. */
export function useTitle(...parts: string[]): void {
  const title = [...parts, "Periscope"].join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}
