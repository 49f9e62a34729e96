export type Platform = "mac" | "windows" | "linux";

export function platformOf(userAgent: string): Platform {
  if (/Mac|iPhone|iPad/.test(userAgent)) return "mac";
  if (/Windows/.test(userAgent)) return "windows";
  return "linux";
}

export const platform: Platform = platformOf(globalThis.navigator?.userAgent ?? "");

/** The key that starts an application's shortcuts: Cmd on a Mac, Ctrl elsewhere. */
export function hasCommandKey(event: { metaKey: boolean; ctrlKey: boolean }, on: Platform = platform): boolean {
  return on === "mac" ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
}

export const commandKeyName = platform === "mac" ? "⌘" : "Ctrl";
