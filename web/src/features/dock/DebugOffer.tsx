import { useQuery } from "@tanstack/react-query";
import { featuresQuery } from "../../api/queries.ts";
import { DebugButton } from "../../ui/DebugButton.tsx";
import { NOT_STARTED, WRONG_IMAGE } from "./debug.ts";
import type { Ending } from "./ending.ts";
import type { Shell } from "./shell.ts";
import { renewShell } from "./store.ts";
import { lookedInto } from "./target.ts";

/** Whether a container from another image would help: there is no shell, or the debug container did not start. */
export function wantsDebug({ target }: Shell, { code }: Ending): boolean {
  if (code === NOT_STARTED || code === WRONG_IMAGE) return true;
  return code === "E_NO_SHELL" && lookedInto(target) === "";
}

/** The images to choose from; null while nothing is known of them. */
export function useDebugImages(): string[] | null {
  const features = useQuery(featuresQuery()).data;
  return features ? (features.exec?.debugImages ?? []) : null;
}

/** The way on from a container without a shell: a debug container in the same tab. `leads`: it is what helps. */
export function DebugOffer({ shell, leads }: { shell: Shell; leads: boolean }) {
  const { debug } = shell.target;
  const all = useDebugImages() ?? [];
  const images = all.filter((image) => image !== debug);
  if (images.length === 0) return null;
  return (
    <DebugButton
      look={leads ? "primary" : "plain"}
      images={images}
      preset={all[0]}
      text={debug ? "Another image" : "Debug container"}
      onDebug={(image) => renewShell(shell, { ...shell.target, debug: image })}
    />
  );
}

/** Where there are no debug containers: whom to ask. */
export function DebugNote() {
  if (useDebugImages()?.length !== 0) return null;
  return (
    <p className="text-muted">
      Debug containers are not set up here. Whoever runs Periscope can list an image for them in{" "}
      <code className="font-mono text-xs">PERISCOPE_DEBUG_IMAGES</code>.
    </p>
  );
}
