import { useSyncExternalStore } from "react";
import { reachable } from "../api/client.ts";
import { Strip } from "../ui/states.tsx";
import { useStore } from "../ui/useStore.ts";

function watchOnline(listener: () => void): () => void {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("offline", listener);
  };
}

/** Everything stays readable while the server cannot be reached; this says so. */
export function OfflineBar() {
  const online = useSyncExternalStore(watchOnline, () => navigator.onLine);
  const answered = useStore(reachable);
  if (online && answered) return null;
  return (
    <Strip tone="attention">
      {online
        ? "Periscope does not answer. What you see may be old; the page tries again by itself."
        : "This computer is offline. What you see may be old; it goes on when the network is back."}
    </Strip>
  );
}
