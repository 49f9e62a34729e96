import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import {
  CLOSE_REASONS,
  CLOSE_SENTENCES,
  closeSentence,
  ERROR_CODES,
  ERROR_SENTENCES,
  errorSentence,
} from "./sentences.ts";

// The contract's lists, written out a second time: they are append-only, and this is what notices a removal.
const CONTRACT_ERRORS =
  "E_EXEC_DISABLED E_CAP_USER E_CAP_CLUSTER E_FORBIDDEN E_NO_SHELL E_NOT_FOUND E_INVALID_REQUEST E_UNAUTHENTICATED E_CLUSTER_UNREACHABLE E_AGENT_DISCONNECTED E_AUDIT_UNAVAILABLE E_RECORDING_UNAVAILABLE E_RATE_LIMITED E_TIMEOUT E_SHUTTING_DOWN E_PROTOCOL E_INTERNAL";
const CONTRACT_REASONS =
  "client_close server_idle forced_close completed container_exit pod_deleted tunnel_closed heartbeat_timeout unauthorized client_lost shutdown forbidden no_shell server_error server_lost taken_over";

// What the server can say, as its own tests write it down.
const ends = JSON.parse(readFileSync(resolve(import.meta.dirname, "../../../api/ends.json"), "utf8")) as {
  reasons: { reason: string; message: string }[];
  errors: string[];
};

describe("sentences", () => {
  it("know every error code of the contract", () => {
    expect(ERROR_CODES).toEqual(expect.arrayContaining(CONTRACT_ERRORS.split(" ")));
    expect(Object.keys(ERROR_SENTENCES).sort()).toEqual([...ERROR_CODES].sort());
  });

  it("know every close reason of the contract", () => {
    expect(CLOSE_REASONS).toEqual(expect.arrayContaining(CONTRACT_REASONS.split(" ")));
    expect(Object.keys(CLOSE_SENTENCES).sort()).toEqual([...CLOSE_REASONS].sort());
  });

  it("know exactly the reasons and codes that the server has", () => {
    expect([...CLOSE_REASONS].sort()).toEqual(ends.reasons.map((r) => r.reason).sort());
    expect([...ERROR_CODES].sort()).toEqual([...ends.errors].sort());
  });

  it.each(Object.entries({ ...ERROR_SENTENCES, ...CLOSE_SENTENCES }))("%s says what to do next, calmly", (_, s) => {
    expect(s.title).not.toMatch(/[.!]$/);
    expect(s.next).toMatch(/\.$/);
    expect(`${s.title} ${s.next}`).not.toMatch(/!|oops/i);
  });

  it("have an answer for what they do not know", () => {
    expect(errorSentence("E_FROM_THE_FUTURE").title).toBe(ERROR_SENTENCES.E_INTERNAL.title);
    expect(errorSentence("", 403)).toBe(ERROR_SENTENCES.E_FORBIDDEN);
    expect(errorSentence("constructor").title).toBe(ERROR_SENTENCES.E_INTERNAL.title);
    expect(closeSentence("toString").title).toBe("ended");
  });
});
