import { hasCommandKey } from "../lib/platform.ts";

/** Programs print links; only the web's own kinds are ever opened, and only with Ctrl or Cmd held, so that a click stays a click. */
export function openLink(event: MouseEvent, address: string): void {
  if (!hasCommandKey(event)) return;
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") return;
  window.open(url.href, "_blank", "noopener,noreferrer");
}
