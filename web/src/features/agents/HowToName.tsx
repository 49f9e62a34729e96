import { clusterYaml, SANS } from "./agents.ts";
import { Snippet } from "./Snippet.tsx";

/** What whoever runs the server writes before a cluster can have an agent. `first`: no cluster has one yet. */
export function HowToName({ first }: { first: boolean }) {
  return (
    <div className="flex flex-col gap-4 text-left">
      <p className="text-sm text-muted">
        A cluster is named on the server first. Add it to clusters.yaml under a name of your choice, and restart the
        server; then it is listed here.
      </p>
      <Snippet name="Lines for clusters.yaml" text={clusterYaml("prod-onprem")} />
      {first ? (
        <>
          <p className="text-sm text-muted">
            Once, also say by which names agents reach the server, in its environment. They dial out to port 8443 there;
            nothing in their clusters listens to the outside.
          </p>
          <Snippet name="Line for the server’s environment" text={SANS} />
        </>
      ) : null}
    </div>
  );
}
