import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { Login } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { SessionsOfYours } from "./SessionsOfYours.tsx";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

function login(id: string, change: Partial<Login> = {}): Login {
  return {
    id,
    agent: `curl/${id}.0`,
    createdAt: at(-3600),
    activeAt: at(-60 * Number(id)),
    expiresAt: at(3600),
    current: false,
    ...change,
  };
}

let logins: Login[];
let deleted: string[];
let status: number;

beforeEach(() => {
  logins = [];
  deleted = [];
  status = 204;
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    if (init.method !== "DELETE") return Response.json({ logins });
    deleted.push(path);
    const refusal = { error: "E_INTERNAL", message: "The database does not answer.", requestId: "r1" };
    return status === 204 ? new Response(null, { status }) : Response.json(refusal, { status });
  });
});

function show() {
  const acts = { onSignOut: vi.fn(), onSignOutEverywhere: vi.fn() };
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TipProvider>
        <SessionsOfYours who="ada" shells={<p>no shells</p>} {...acts} />
      </TipProvider>
    </QueryClientProvider>,
  );
  return acts;
}

const rows = async () => {
  const list = await screen.findByRole("list", { name: "Browsers" });
  return within(list)
    .getAllByRole("listitem")
    .map((row) => row.textContent ?? "");
};

it("shows this browser first, then the last active, and the others on demand", async () => {
  logins = [
    ...Array.from({ length: 9 }, (_, i) => login(String(9 - i))),
    login("20", { current: true, agent: FIREFOX }),
  ];
  const { onSignOut } = show();
  const first = await rows();
  expect(first[0]).toContain("Firefox 142 on LinuxThis browser");
  expect(first.slice(1).map((row) => /curl \d/.exec(row)?.[0])).toEqual(["curl 1", "curl 2", "curl 3", "curl 4"]);
  fireEvent.click(screen.getByRole("button", { name: "Show 5 more" }));
  expect((await rows()).length).toBe(10);
  fireEvent.click(screen.getByRole("button", { name: "Sign out of this browser" }));
  expect(onSignOut).toHaveBeenCalledOnce();
  expect(deleted).toEqual([]);
});

it("ends one after a question", async () => {
  logins = [login("1"), login("2", { current: true })];
  show();
  fireEvent.click(await screen.findByRole("button", { name: "End the login in curl 1.0" }));
  const dialog = await screen.findByRole("dialog", { name: "End this login?" });
  fireEvent.click(within(dialog).getByRole("button", { name: "End login" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(deleted).toEqual(["/api/auth/logins/1"]);
  expect(screen.queryByRole("button", { name: "End all others" })).toBeNull();
});

it("ends all others, and says what went wrong", async () => {
  logins = [login("1"), login("2", { current: true }), login("3")];
  status = 500;
  show();
  fireEvent.click(await screen.findByRole("button", { name: "End all others" }));
  const dialog = await screen.findByRole("dialog", { name: "End 2 logins?" });
  fireEvent.click(within(dialog).getByRole("button", { name: "End logins" }));
  expect((await within(dialog).findByRole("alert")).textContent).toContain("The database does not answer.");
  expect(deleted.toSorted()).toEqual(["/api/auth/logins/1", "/api/auth/logins/3"]);
});
