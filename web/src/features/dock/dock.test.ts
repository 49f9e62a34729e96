import { describe, expect, it } from "vitest";
import { CLOSE_REASONS, CLOSE_SENTENCES, ERROR_CODES } from "../../api/sentences.ts";
import type { ErrorFrame } from "../../stream/frames.ts";
import { armCtrl } from "./ctrl.ts";
import { endingOf } from "./ending.ts";
import { gapNote } from "./gap.ts";
import { pillWords } from "./pill.ts";
import type { ShellState } from "./shell.ts";

const closed = (reason: string, exitCode: number | null = null) =>
  ({ type: "closed", reason, exitCode, message: "" }) as const;

function refusal(code: string): ErrorFrame {
  return {
    type: "error",
    code,
    message: "what the server said",
    retryable: false,
    requestId: "r1",
    activeSessions: [],
  };
}

describe("an ending", () => {
  it.each(CLOSE_REASONS)("has words of its own for %s, and the server's beside them", (reason) => {
    const ending = endingOf({ kind: "said", closed: { ...closed(reason), message: "Why." }, error: null });
    expect(ending).toMatchObject({ ...CLOSE_SENTENCES[reason], detail: "Why." });
  });

  it.each(ERROR_CODES)("has words for %s, and the server's own beside them", (code) => {
    const ending = endingOf({ kind: "said", closed: closed("forbidden"), error: refusal(code) });
    expect(ending).toMatchObject({ detail: "what the server said", requestId: "r1", calm: false });
    expect(ending.title.charAt(0)).toBe(ending.title.charAt(0).toLowerCase());
  });

  it.each(ERROR_CODES)("has a next step for %s where the server said nothing", (code) => {
    expect(endingOf({ kind: "refused", error: { ...refusal(code), message: "" } }).next).not.toBe("");
  });

  it("shows an exit code only where it is the shell's own", () => {
    expect(endingOf({ kind: "said", closed: closed("container_exit", 3), error: null }).exitCode).toBe(3);
    expect(endingOf({ kind: "said", closed: closed("client_close", 0), error: null }).exitCode).toBeNull();
  });

  it("says an exit code once, and what the server knows beyond it", () => {
    const said = (message: string) =>
      endingOf({ kind: "said", closed: { ...closed("completed", 3), message }, error: null });
    expect(said("The program ended with exit code 3.")).toMatchObject({ exitCode: 3, detail: "" });
    expect(said("It was killed.")).toMatchObject({ exitCode: 3, detail: "It was killed." });
  });

  it("is honest about a lost connection", () => {
    const lost = endingOf({ kind: "lost", hadShell: true, why: "silent" });
    expect(lost.title).toBe("connection lost");
    expect(lost.next).toMatch(/shell was ended/);
    expect(endingOf({ kind: "lost", hadShell: false, why: "closed" }).next).toMatch(/WebSockets/);
  });

  it("tells a shell that lost its cluster's link from one that could not be opened without", () => {
    const end = { kind: "said", closed: closed("tunnel_closed"), error: refusal("E_AGENT_DISCONNECTED") } as const;
    const cut = endingOf(end, undefined, true);
    expect(cut).toMatchObject({ ...CLOSE_SENTENCES.tunnel_closed, detail: "what the server said", requestId: "r1" });
    expect(cut.code).toBe(""); // "New shell", not "Try again"
    expect(endingOf(end)).toMatchObject({
      title: "the cluster’s agent is not connected",
      code: "E_AGENT_DISCONNECTED",
    });
  });

  it("claims nothing of how long the server keeps a shell where that is not known", () => {
    const of = (kind: "unreached" | "left" | "gone", graceSeconds: number) =>
      JSON.stringify(endingOf({ kind }, { seconds: 700, graceSeconds }));
    for (const kind of ["unreached", "left", "gone"] as const) {
      expect(of(kind, 600)).toContain("10 minutes");
      expect(of(kind, 0)).not.toMatch(/seconds|minutes|keeps/);
    }
  });

  it("offers to sign in where that helps", () => {
    expect(endingOf({ kind: "refused", error: refusal("E_UNAUTHENTICATED") }).signIn).toBe(true);
    expect(endingOf({ kind: "said", closed: closed("unauthorized"), error: null }).signIn).toBe(true);
    expect(endingOf({ kind: "said", closed: closed("server_idle"), error: null }).signIn).toBe(false);
  });
});

describe("the pill", () => {
  const ending = endingOf({ kind: "refused", error: refusal("E_NO_SHELL") });
  it.each([
    ["one that never began", 0, "not opened: this container has no shell"],
    ["one that ran", 1, "ended: this container has no shell"],
  ])("tells of %s what it came to", (_, connectedAt, words) => {
    expect(pillWords({ phase: "ended", connectedAt, ending } as ShellState)).toBe(words);
  });
});

describe("the key row's Ctrl", () => {
  const ctrl = (text: string) => [...armCtrl(new TextEncoder().encode(text))];

  it("makes control bytes of one character", () => {
    expect(ctrl("c")).toEqual([3]);
    expect(ctrl("C")).toEqual([3]);
    expect(ctrl("[")).toEqual([27]);
    expect(ctrl(" ")).toEqual([0]);
  });

  it("undoes with - and /, and moves by words with the arrows", () => {
    expect(ctrl("-")).toEqual([0x1f]);
    expect(ctrl("/")).toEqual([0x1f]);
    const sequence = (text: string) => new TextDecoder().decode(armCtrl(new TextEncoder().encode(text)));
    expect(sequence("\x1b[D")).toBe("\x1b[1;5D");
    expect(sequence("\x1bOC")).toBe("\x1b[1;5C");
    expect(sequence("\x1b[6~")).toBe("\x1b[6;5~");
  });

  it("leaves everything else", () => {
    expect(ctrl("\x1b[2~")).toHaveLength(4);
    expect(ctrl("1")).toEqual([0x31]);
    expect(ctrl("ab")).toEqual([0x61, 0x62]);
    expect(ctrl("")).toEqual([]);
    expect(ctrl("é")).toHaveLength(2);
  });
});

it("says how much a gap left out, and why", () => {
  expect(gapNote({ bytes: 5 * 1024 * 1024, why: "interrupt" })).toBe("5.0 MiB left out to let your interrupt through");
  expect(gapNote({ bytes: 10, why: "__proto__" })).toBe("10 B left out");
});
