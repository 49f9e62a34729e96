import { useQuery } from "@tanstack/react-query";
import { clustersQuery } from "../../api/queries.ts";
import type { ShellTarget } from "./target.ts";

/** Whether the cluster wants a reason that is not known: a shell that was taken over, or came back, may not say it. */
export function useNeedsReason({ cluster, reason }: Pick<ShellTarget, "cluster" | "reason">): boolean {
  const { data } = useQuery({ ...clustersQuery(), refetchInterval: false, enabled: reason === "" });
  return reason === "" && (data?.find(({ name }) => name === cluster)?.requireReason ?? false);
}
