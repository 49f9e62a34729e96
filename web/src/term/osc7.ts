/** A path that is longer than this is none that the server would take. */
const LIMIT = 4096;

/**
 * The folder that an OSC 7 sequence ("file://host/path") says a shell is in; empty where it says none. Some shells send it with
 * every prompt. A program may say what it likes: it is a proposal, and never more.
 */
export function folderOf(data: string): string {
  if (data.length > 4 * LIMIT || !data.startsWith("file://")) return "";
  const at = data.indexOf("/", "file://".length);
  if (at < 0) return "";
  try {
    const path = decodeURIComponent(data.slice(at));
    return path.length <= LIMIT && !path.includes("\0") ? path : "";
  } catch {
    return "";
  }
}
