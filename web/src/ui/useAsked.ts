import {
  type QueryClient,
  type QueryKey,
  type UseQueryOptions,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";

interface Asked<T> {
  query: UseQueryResult<T>;
  /** Nothing has come so far, not even a failure. */
  waiting: boolean;
  /** Why there is nothing to show; null where there is something. */
  failure: Error | null;
}

/**
 * Asks as useQuery does, and goes on saying why there is nothing while it is asked again: a query without an answer forgets
 * with every new try that the last one failed, and the page would change between the two every few seconds.
 */
export function useAsked<T, K extends QueryKey>(options: UseQueryOptions<T, Error, T, K>): Asked<T> {
  const query = useQuery(options);
  const failure = failureOf(useQueryClient(), options.queryKey, query);
  return { query, waiting: query.isPending && !failure, failure };
}

/** By query, so that it is told as long as the query is kept, on whichever page. */
const failures = new WeakMap<object, Error>();

type Result = Pick<UseQueryResult, "isPending" | "isLoadingError" | "error">;

/** Why there is no answer: where one is waited for, what became of the try before. */
export function failureOf(
  queries: QueryClient,
  queryKey: QueryKey,
  { isPending, isLoadingError, error }: Result,
): Error | null {
  const kept = queries.getQueryCache().find({ queryKey, exact: true });
  if (kept && isLoadingError && error) failures.set(kept, error);
  return (kept && (isPending || isLoadingError) && failures.get(kept)) || null;
}
