import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Container } from "../../api/types.ts";
import { Store } from "../../lib/store.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { NOT_STARTED, NotStarted, startDebug, stepOf, WRONG_IMAGE } from "./debug.ts";
import { EndedBar } from "./EndedBar.tsx";
import { endingOf } from "./ending.ts";
import { Preparing } from "./Preparing.tsx";
import { endAllShells } from "./restore.ts";
import type { Shell, ShellState } from "./shell.ts";
import { dock, openShell } from "./store.ts";

const wish = { cluster: "demo", namespace: "shop", pod: "web-0", container: "app", image: "busybox:1", reason: "" };
const made = { container: "debug-00000000-1", target: "app", image: "busybox:1", created: true };

function container(change: Partial<Container>): { containers: Container[] } {
  const whole = { name: made.container, state: "waiting", reason: "", message: "", image: "busybox:1", exitCode: null };
  return { containers: [{ ...whole, ...change } as Container] };
}

/** What the server answers, in order; the last answer is given again. */
let posted: object[];
let answers: (() => Response)[];
let polls: number;

beforeEach(() => {
  posted = [];
  polls = 0;
  answers = [];
  vi.useFakeTimers({ now: 0 });
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    if (path.endsWith("/debug")) {
      posted.push(JSON.parse(String(init.body)) as object);
      return Promise.resolve((answers.shift() ?? (() => Response.json(made)))());
    }
    polls++;
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return Promise.resolve((answer ?? (() => Response.json(container({}))))());
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Runs to the end of it, whatever that is. */
async function run(signal = new AbortController().signal) {
  const said: string[] = [];
  const outcome = startDebug(wish, signal, (words) => said.push(words)).then(
    (name) => ({ name, fault: null }),
    (fault: unknown) => ({ name: "", fault }),
  );
  await vi.advanceTimersByTimeAsync(90_000);
  return { ...(await outcome), said };
}

const pod = (change: Partial<Container>) => () => Response.json(container(change));

describe("a debug container on its way", () => {
  it("is asked for once, and named when it runs", async () => {
    answers = [() => Response.json(made), pod({}), pod({ reason: "ContainerCreating" }), pod({ state: "running" })];
    const { name, said } = await run();
    expect(name).toBe(made.container);
    expect(posted).toEqual([{ container: "app", image: "busybox:1", reason: "" }]);
    expect(said[0]).toBe("Adding a debug container to the pod");
    expect(said[1]).toMatch(/fetches busybox:1/);
    expect(polls).toBe(3);
  });

  it("waits through trouble that may pass, and says so", async () => {
    const no = { reason: "ErrImagePull", message: "registry does not answer" };
    answers = [() => Response.json(made), pod(no), pod({ state: "running" })];
    const { name, said } = await run();
    expect(name).toBe(made.container);
    expect(said).toContain("The node could not fetch the image, and tries again: registry does not answer.");
  });

  it.each([
    ["ImagePullBackOff", /cannot fetch the image.*back-off pulling/],
    ["InvalidImageName", /cannot read the name/],
    ["ErrImageNeverPull", /lets it fetch none/],
    ["CreateContainerConfigError", /may not start/],
  ])("gives up at %s, in words, with what to do", async (reason, words) => {
    answers = [() => Response.json(made), pod({ reason, message: "back-off pulling image busybox:1" })];
    const { fault } = await run();
    expect(fault).toBeInstanceOf(NotStarted);
    const { ending } = fault as NotStarted;
    expect(ending.title).toBe("the debug container did not start");
    expect(ending.detail).toMatch(words);
    expect(ending.next).not.toBe("");
    expect(ending.code).toBe(WRONG_IMAGE);
    expect(polls).toBe(1);
  });

  it("gives up when it ended at once, and after a minute", async () => {
    answers = [() => Response.json(made), pod({ state: "terminated", exitCode: 127, message: "sh: not found" })];
    expect(((await run()).fault as NotStarted).ending.detail).toBe(
      "The debug container ended at once with exit code 127: sh: not found.",
    );
    answers = [() => Response.json(made), pod({ reason: "__proto__" })];
    const before = Date.now();
    const slow = ((await run()).fault as NotStarted).ending;
    expect(slow).toMatchObject({ next: expect.stringMatching(/same container is used/), code: NOT_STARTED });
    expect(polls).toBeGreaterThan(55);
    expect(polls).toBeLessThan(65);
    expect(Date.now() - before).toBe(90_000);
  });

  it("hands the server's refusal on, with its request id", async () => {
    const body = { error: "E_FORBIDDEN", message: "You may not. Ask somebody.", requestId: "r7" };
    answers = [() => Response.json(body, { status: 403 })];
    const { ending } = (await run()).fault as NotStarted;
    expect(ending).toMatchObject({ code: "E_FORBIDDEN", detail: body.message, requestId: "r7", calm: false });
    expect(polls).toBe(0);
  });

  it("lives through a poll that fails, but not without its pod", async () => {
    const busy = { error: "E_TIMEOUT", message: "Too slow.", requestId: "r1" };
    answers = [() => Response.json(made), () => Response.json(busy, { status: 504 }), pod({ state: "running" })];
    expect((await run()).name).toBe(made.container);
    const gone = { error: "E_NOT_FOUND", message: "No such pod.", requestId: "r2" };
    answers = [() => Response.json(made), () => Response.json(gone, { status: 404 })];
    expect(((await run()).fault as NotStarted).ending).toMatchObject({ code: "E_NOT_FOUND", requestId: "r2" });
    expect(stepOf({ containers: [] }, "debug-x").words).toMatch(/pod was replaced/);
  });

  it("stops when nobody wants it any more", async () => {
    const giveUp = new AbortController();
    answers = [() => Response.json(made), pod({})];
    const outcome = startDebug(wish, giveUp.signal, () => {}).catch((fault: unknown) => fault);
    await vi.advanceTimersByTimeAsync(2_500);
    const asked = polls;
    giveUp.abort(new Error("closed"));
    expect(await outcome).toEqual(new Error("closed"));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(polls).toBe(asked);
  });
});

describe("what is said while it comes up", () => {
  it.each([
    ["a step", "Starting the debug container", "Starting the debug container …", /text-info/],
    ["trouble", "The node could not fetch the image.", "The node could not fetch the image.", /text-attention/],
  ])("is %s, and looks it", (_, preparing, text, colour) => {
    const shell = { state: new Store({ preparing } as ShellState) } as unknown as Shell;
    render(<Preparing shell={shell} />);
    const strip = screen.getByRole("status");
    expect(strip.firstElementChild?.textContent).toBe(text);
    expect(strip.className).toMatch(colour);
  });
});

describe("a shell that ended for want of one", () => {
  let images: string[] | undefined;
  const target = { cluster: "demo", namespace: "shop", pod: "web-0", container: "app", reason: "ticket 7" };

  beforeEach(() => {
    vi.useRealTimers();
    vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ exec: images ? { debugImages: images } : {} })));
  });
  afterEach(() => endAllShells());

  function end(change: object = {}, code = "E_NO_SHELL") {
    openShell({ ...target, ...change });
    const [shell] = dock.get().shells.slice(-1);
    if (!shell) throw new Error("no shell");
    const error = { type: "error", code, message: "It has none.", retryable: false, requestId: "r1" } as const;
    const ending = endingOf({ kind: "refused", error: { ...error, activeSessions: [] } });
    act(() => shell.state.update((state) => ({ ...state, phase: "ended", ending })));
    render(
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <TipProvider>
          <EndedBar shell={shell} signIn={() => {}} />
        </TipProvider>
      </QueryClientProvider>,
    );
    return shell;
  }
  const targets = () => dock.get().shells.map((shell) => shell.target);
  /** It comes once the images are known, which a busy computer takes its time for. */
  const button = (name: string) => screen.findByRole("button", { name }, { timeout: 4_000 });

  it("offers a debug container in its place, for the same reason", async () => {
    images = ["busybox:1"];
    end();
    fireEvent.click(await button("Debug container"));
    expect(targets()).toEqual([{ ...target, debug: "busybox:1" }]);
  });

  it("lets one choose among several images", async () => {
    images = ["busybox:1", "netshoot:2"];
    end();
    fireEvent.keyDown(await button("Debug container"), { key: "Enter" });
    const items = await screen.findAllByRole("menuitem");
    expect(items.map((item) => item.textContent)).toEqual(["busybox:1default", "netshoot:2"]);
    fireEvent.click(items[1] as HTMLElement);
    expect(targets()).toEqual([{ ...target, debug: "netshoot:2" }]);
  });

  it("offers the other images where one did not start", async () => {
    images = ["busybox:1", "netshoot:2"];
    end({ debug: "busybox:1" }, NOT_STARTED);
    fireEvent.click(await button("Another image"));
    expect(targets()).toEqual([{ ...target, debug: "netshoot:2" }]);
  });

  it.each([
    ["its image is to blame", WRONG_IMAGE, "Another image"],
    ["it is only late", NOT_STARTED, "Try again"],
  ])("puts first what helps one that did not start: %s", async (_, code, first) => {
    images = ["busybox:1", "netshoot:2"];
    end({ debug: "busybox:1" }, code);
    const primary = async (name: string) => /bg-accent-solid/.test((await button(name)).className);
    for (const name of ["Another image", "Try again"]) expect(await primary(name)).toBe(name === first);
  });

  it("says whom to ask where there are none", async () => {
    images = [];
    end();
    expect(await screen.findByText(/Whoever runs Periscope can list an image/)).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Debug container" })).toBeNull();
    expect(screen.getByRole("button", { name: "Try again" })).toBeTruthy();
  });

  it.each([
    ["of another kind", {}, "E_NOT_FOUND"],
    ["in a debug container", { debug: "busybox:1" }, "E_NO_SHELL"],
    ["in one that was there", { of: "app" }, "E_NO_SHELL"],
  ])("offers none for an end %s", async (_, change, code) => {
    images = ["busybox:1"];
    end(change, code);
    await act(() => new Promise((resolve) => setTimeout(resolve, 0)));
    expect(screen.queryByRole("button", { name: "Debug container" })).toBeNull();
  });
});
