import { afterEach, describe, expect, it, vi } from "vitest";
import { reachable, request, signedOut } from "./client.ts";
import { execUrl, pods } from "./endpoints.ts";
import { explain } from "./explain.ts";
import { ApiFault } from "./fault.ts";

function answer(status: number, body: string, headers: Record<string, string> = {}) {
  return new Response(status === 204 ? null : body, { status, headers });
}

function serve(...answers: (Response | Error)[]) {
  const mock = vi.fn(async (_path: string, _init?: RequestInit) => {
    const next = answers.shift();
    if (next instanceof Response) return next;
    throw next ?? new Error("no answer left");
  });
  vi.stubGlobal("fetch", mock);
  return mock;
}

afterEach(() => vi.unstubAllGlobals());

describe("a request", () => {
  it("gives the JSON", async () => {
    serve(answer(200, '{"a":1}'));
    expect(await request("/api/x")).toEqual({ a: 1 });
  });

  it("turns a refusal into its own sentence and request id", async () => {
    serve(answer(403, '{"error":"E_FORBIDDEN","message":"pods is forbidden","requestId":"r1"}'));
    const fault = await request("/api/x").catch((thrown) => thrown);
    expect(fault).toBeInstanceOf(ApiFault);
    expect(explain(fault)).toMatchObject({ kind: "forbidden", message: "pods is forbidden", requestId: "r1" });
  });

  it("survives a proxy's page and a cut answer", async () => {
    serve(answer(502, "<html>bad gateway", { "X-Request-Id": "r2" }), answer(200, '{"a":'));
    expect(await request("/x").catch((t) => t)).toMatchObject({ code: "E_BAD_ANSWER", status: 502, requestId: "r2" });
    expect(await request("/x").catch((t) => t)).toMatchObject({ code: "E_BAD_ANSWER" });
  });

  it("survives JSON that is no error object", async () => {
    serve(answer(500, "null"), answer(500, '{"error":5}'));
    for (let i = 0; i < 2; i++) expect(explain(await request("/x").catch((t) => t)).title).not.toBe("");
  });

  it("notices when there is no server, and when it is back", async () => {
    serve(new TypeError("Failed to fetch"), answer(200, "{}"));
    expect(explain(await request("/x").catch((t) => t)).kind).toBe("offline");
    expect(reachable.get()).toBe(false);
    await request("/x");
    expect(reachable.get()).toBe(true);
  });

  it("tells of a login that is over", async () => {
    const before = signedOut.get();
    serve(answer(401, '{"error":"E_UNAUTHENTICATED","message":"sign in"}'));
    await request("/x").catch(() => undefined);
    expect(signedOut.get()).toBe(before + 1);
  });
});

describe("endpoints", () => {
  it("follow a list to its last page", async () => {
    const fetched = serve(
      answer(200, '{"pods":[{"name":"a"}],"continue":"t k"}'),
      answer(200, '{"pods":[{"name":"b"}],"continue":""}'),
    );
    expect((await pods("c", "n")).map((pod) => pod.name)).toEqual(["a", "b"]);
    expect(fetched.mock.calls[1]?.[0]).toBe("/api/clusters/c/pods?limit=1000&namespace=n&continue=t+k");
  });

  it("build the shell's address on the page's own origin", () => {
    const ref = { cluster: "a/b", namespace: "n", pod: "p" };
    expect(execUrl(ref, { protocol: "https:", host: "h:1" })).toBe("wss://h:1/api/clusters/a%2Fb/pods/n/p/exec");
  });

  it("let no name climb out of its place", async () => {
    const fetched = serve();
    for (const namespace of [".", ".."]) {
      expect(() => execUrl({ cluster: "c", namespace, pod: "p" }, { protocol: "http:", host: "h" })).toThrow(ApiFault);
    }
    await expect(pods("..", "")).rejects.toThrow(ApiFault);
    expect(fetched).not.toHaveBeenCalled();
  });
});
