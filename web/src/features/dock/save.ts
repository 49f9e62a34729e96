interface Origin {
  cluster: string;
  namespace: string;
  pod: string;
  container: string;
}

const NAME_LIMIT = 200;

/** cluster-namespace-pod-container-time.txt, in letters that every file system takes. The time is UTC. */
export function fileName(from: Origin, now: Date): string {
  const time = now.toISOString().slice(0, 19).replace(/[-:]/g, "");
  const parts = [from.cluster, from.namespace, from.pod, from.container].filter(Boolean);
  const name = parts
    .join("-")
    .replace(/[^A-Za-z0-9._-]+/g, "_")
    .replace(/^[._-]+/, "");
  return `${name.slice(0, NAME_LIMIT)}-${time}Z.txt`;
}

/** Hands text to the browser as a file. Nothing leaves the page. */
export function saveText(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the file once the click's own work is done.
  setTimeout(() => URL.revokeObjectURL(url));
}
