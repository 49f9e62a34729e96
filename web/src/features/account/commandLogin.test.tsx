import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { LoginAsk } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { CommandLoginPage } from "./CommandLoginPage.tsx";
import { isLoopback, tidyCode } from "./commandLogin.ts";

const ASK: LoginAsk = {
  id: "A".repeat(26),
  host: "laptop",
  agent: "periscope/1.0",
  address: "192.0.2.1",
  device: false,
  askedAt: new Date(Date.now() - 5_000).toISOString(),
  expiresAt: new Date(Date.now() + 300_000).toISOString(),
  tokenDays: 30,
};

let answers: Record<string, () => Response>;
let sent: string[];

beforeEach(() => {
  sent = [];
  answers = {};
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const key = `${init.method ?? "GET"} ${path}`;
    sent.push(`${key} ${init.body ?? ""}`.trim());
    return (
      answers[key]?.() ?? Response.json({ error: "E_NOT_FOUND", message: "over", requestId: "r" }, { status: 404 })
    );
  });
});

function show(ask: string) {
  const goTo = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TipProvider>
        <CommandLoginPage who="ada" ask={ask} goTo={goTo} />
      </TipProvider>
    </QueryClientProvider>,
  );
  return goTo;
}

const path = `/api/auth/cli/asks/${ASK.id}`;

it("shows who asks and goes on to the command's own address", async () => {
  answers[`GET ${path}`] = () => Response.json(ASK);
  answers[`POST ${path}`] = () => Response.json({ redirect: "http://127.0.0.1:4711/?code=a.b&state=c" });
  const goTo = show(ASK.id);
  await screen.findByText("laptop");
  expect(screen.getAllByRole("definition").at(-1)?.textContent).toBe("Read and Shells, for 30 days");
  fireEvent.click(screen.getByRole("button", { name: "Allow" }));
  await screen.findByRole("heading", { name: "Allowed" });
  expect(goTo.mock.calls).toEqual([["http://127.0.0.1:4711/?code=a.b&state=c"]]);
  expect(sent.at(-1)).toBe(`POST ${path} {"allow":true}`);
});

it("goes nowhere else, whatever the server says", async () => {
  answers[`GET ${path}`] = () => Response.json(ASK);
  answers[`POST ${path}`] = () => Response.json({ redirect: "https://evil.example/?code=a.b" });
  const goTo = show(ASK.id);
  fireEvent.click(await screen.findByRole("button", { name: "Allow" }));
  await screen.findByRole("heading", { name: "Allowed" });
  expect(goTo).not.toHaveBeenCalled();
});

it("answers nothing by itself, and says when it is too late", async () => {
  answers[`GET ${path}`] = () => Response.json({ ...ASK, expiresAt: new Date(Date.now() - 1_000).toISOString() });
  show(ASK.id);
  await screen.findByRole("heading", { name: "This login is over" });
  expect(sent).toEqual([`GET ${path}`]);
});

it("says that it is over where it was answered in another window", async () => {
  answers[`GET ${path}`] = () => Response.json(ASK);
  show(ASK.id);
  fireEvent.click(await screen.findByRole("button", { name: "Refuse" }));
  await screen.findByRole("heading", { name: "This login is over" });
});

it("stays with its question where the server did not take the answer", async () => {
  answers[`GET ${path}`] = () => Response.json(ASK);
  answers[`POST ${path}`] = () =>
    Response.json({ error: "E_INTERNAL", message: "The database does not answer.", requestId: "r9" }, { status: 500 });
  show(ASK.id);
  fireEvent.click(await screen.findByRole("button", { name: "Allow" }));
  expect((await screen.findByRole("alert")).textContent).toContain("The database does not answer.");
  expect(screen.getByRole("button", { name: "Allow" })).toBeDefined();
});

it("finds a device by the code that is typed", async () => {
  answers["POST /api/auth/cli/find"] = () => Response.json({ ...ASK, device: true });
  show("");
  const go = () => screen.getByRole("button", { name: "Continue" }) as HTMLButtonElement;
  expect(go().disabled).toBe(true);
  fireEvent.change(screen.getByLabelText("Code"), { target: { value: "bcdf ghjk" } });
  fireEvent.click(go());
  await screen.findByText(/only if you have just typed the code/);
  expect(sent.at(-1)).toBe('POST /api/auth/cli/find {"userCode":"BCDF-GHJK"}');
});

describe("what is typed", () => {
  it.each([
    ["bcdfghjk", "BCDF-GHJK"],
    ["BCDF-GHJK", "BCDF-GHJK"],
    [" bcdf  ghjk more", "BCDF-GHJK"],
    ["bcd", "BCD"],
    ["bcdf", "BCDF"],
    ["bcdf-", "BCDF"],
    ["", ""],
  ])("%s is %s", (typed, code) => expect(tidyCode(typed)).toBe(code));
});

describe("where the answer may go", () => {
  it.each([
    ["http://127.0.0.1:4711/?code=A.B&state=c_-", true],
    ["http://127.0.0.1:4711/?error=access_denied&state=c", true],
    ["", false],
    ["https://127.0.0.1:4711/?code=a", false],
    ["http://127.0.0.1.evil.example:4711/?code=a", false],
    ["http://127.0.0.1:4711@evil.example/?code=a", false],
    ["http://127.0.0.1:4711/x?code=a", false],
    ["http://localhost:4711/?code=a", false],
    ["javascript:alert(1)", false],
    ["http://127.0.0.1:4711/?code=a\nx", false],
  ])("%s: %s", (address, may) => expect(isLoopback(address)).toBe(may));
});
