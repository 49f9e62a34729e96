import { wordsOf } from "./match.ts";

interface Filterable {
  namespace: string;
  name: string;
  status: string;
  node: string;
  ip: string;
}

/** The pods in which every typed word occurs somewhere: in name, namespace, status, node or address. */
export function filterPods<T extends Filterable>(pods: readonly T[], query: string): T[] {
  const words = wordsOf(query);
  if (words.length === 0) return pods as T[];
  return pods.filter((pod) => {
    const text = `${pod.namespace}/${pod.name} ${pod.status} ${pod.node} ${pod.ip}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
