import { useEffect } from "react";
import { setTitle } from "../lib/title.ts";

/** Names the browser's tab: the most particular part first, since tabs are narrow. */
export function useTitle(...parts: string[]): void {
  const title = [...parts, "Periscope"].join(" · ");
  useEffect(() => {
    setTitle(title);
  }, [title]);
}
