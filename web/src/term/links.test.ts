import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Links } from "./links.ts";

let host: HTMLElement;
let links: Links;
let open: ReturnType<typeof vi.fn>;

beforeEach(() => {
  host = document.createElement("div");
  links = new Links(host);
  open = vi.fn();
  vi.stubGlobal("open", open);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

const tip = () => host.querySelector("[role=tooltip]")?.textContent ?? "";
const over = (address: string) => links.hover({ clientY: 0 }, address);

describe("the mouse over a link in a terminal", () => {
  it.each([
    ["its address", "https://evil.example/login?next=1#top", "https://evil.example/login?next=1#top"],
    ["its host, and no name before it", "https://periscope.corp@evil.example/", "https://evil.example"],
    ["letters that look alike apart", "https://pеriscope.corp/", "https://xn--priscope-c8g.corp"],
    ["a host whole", `https://${"a.".repeat(100)}example/${"b".repeat(300)}`, `https://${"a.".repeat(100)}example/bbb`],
  ])("shows %s", (_, address, shown) => {
    over(address);
    expect(tip()).toContain(shown);
    expect(tip()).toMatch(/ · Ctrl\+click opens it$/);
    expect(tip().length).toBeLessThan(450);
    links.leave();
    expect(tip()).toBe("");
  });

  it("shows nothing of what is never opened", () => {
    for (const address of ["javascript:alert(1)", "file:///etc/passwd", "no address"]) over(address);
    expect(tip()).toBe("");
  });
});

describe("a click on a link in a terminal", () => {
  it("opens it with Ctrl held, and only where it leads to the web", () => {
    const held = new MouseEvent("click", { ctrlKey: true });
    links.activate(new MouseEvent("click"), "https://example.com/");
    links.activate(held, "javascript:alert(1)");
    expect(open).not.toHaveBeenCalled();
    links.activate(held, "https://example.com/a");
    expect(open).toHaveBeenCalledWith("https://example.com/a", "_blank", "noopener,noreferrer");
  });
});
