import {
  type QueryKey,
  type UseQueryOptions,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect } from "react";

interface Asked<T> {
  query: UseQueryResult<T>;
  /** Nothing has come so far, not even a failure. */
  waiting: boolean;
  /** Why there is nothing to show; null where there is something. */
  failure: Error | null;
}

/** By query, so that it is told as long as the query is kept, on whichever page. */
const failures = new WeakMap<object, Error>();

/**
 * Asks as useQuery does, and goes on saying why there is nothing while it is asked again: a query without an answer forgets
 * with every new try that the last one failed, and the page would change between the two every few seconds.
 */
export function useAsked<T, K extends QueryKey>(options: UseQueryOptions<T, Error, T, K>): Asked<T> {
  const query = useQuery(options);
  const { isPending, isLoadingError, error } = query;
  const kept = useQueryClient().getQueryCache().find({ queryKey: options.queryKey, exact: true });
  useEffect(() => {
    if (kept && isLoadingError) failures.set(kept, error);
  }, [kept, isLoadingError, error]);
  const before = kept && isPending ? failures.get(kept) : undefined;
  const failure = isLoadingError ? error : (before ?? null);
  return { query, waiting: isPending && !failure, failure };
}
