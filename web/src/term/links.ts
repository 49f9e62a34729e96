import { commandKeyName, hasCommandKey } from "../lib/platform.ts";

/** Of what follows the host, at most. */
const SHOWN_CHARS = 160;

/**
 * The links in one terminal. A program may print a link's text and its address apart, so the address is shown while the
 * mouse is over it.
 */
export class Links {
  readonly #host: HTMLElement;
  readonly #tip = document.createElement("div");

  /** `host` is what the terminal is in. */
  constructor(host: HTMLElement) {
    this.#host = host;
    this.#tip.setAttribute("role", "tooltip");
  }

  /** Only the web's own kinds are ever opened, and only with Ctrl or Cmd held, so that a click stays a click. */
  activate = (event: MouseEvent, address: string): void => {
    const url = webAddress(address);
    if (url && hasCommandKey(event)) window.open(url.href, "_blank", "noopener,noreferrer");
  };

  hover = ({ clientY }: Pick<MouseEvent, "clientY">, address: string): void => {
    const url = webAddress(address);
    if (!url) return;
    const { top, height } = this.#host.getBoundingClientRect();
    // Away from the link, which it would cover else.
    const side = clientY > top + height / 2 ? "top-1" : "bottom-1";
    this.#tip.className = `${TIP} ${side}`;
    this.#tip.replaceChildren(...wordsOf(url));
    this.#host.append(this.#tip);
  };

  leave = (): void => {
    this.#tip.remove();
  };
}

const TIP =
  "pointer-events-none absolute left-2 z-10 max-w-2/3 rounded-md border border-line-strong bg-raised px-2 py-1 text-xs text-muted wrap-anywhere shadow-(--shadow)";

/** The host stands out, and whole, in the letters that no other host has; a name before it would pass for one. */
function wordsOf({ protocol, host, pathname, search, hash }: URL): (Node | string)[] {
  const place = document.createElement("strong");
  place.className = "font-semibold text-text";
  place.textContent = host;
  const path = `${pathname}${search}${hash}`;
  const rest = path.length > SHOWN_CHARS ? `${path.slice(0, SHOWN_CHARS)}…` : path;
  return [`${protocol}//`, place, rest === "/" ? "" : rest, ` · ${commandKeyName}+click opens it`];
}

function webAddress(address: string): URL | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  return url?.protocol === "https:" || url?.protocol === "http:" ? url : null;
}
