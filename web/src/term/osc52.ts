/** In bytes, decoded. A program that sends more than this is not setting a clipboard. */
export const CLIPBOARD_LIMIT = 256 * 1024;
const TARGETS = /^[cpqs0-7]*$/;

/**
 * The text that an OSC 52 sequence ("c;<base64>") asks to put on the clipboard. Null for all else: a question of what
 * is there, which is never answered, text that is too long, and nonsense.
 */
export function clipboardText(data: string): string | null {
  const at = data.indexOf(";");
  const encoded = data.slice(at + 1);
  if (at < 0 || !TARGETS.test(data.slice(0, at)) || encoded === "" || encoded.length > (CLIPBOARD_LIMIT * 4) / 3 + 4) {
    return null;
  }
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    return bytes.length <= CLIPBOARD_LIMIT ? new TextDecoder().decode(bytes) : null;
  } catch {
    return null;
  }
}
