import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { AccessToken, AccessTokenList } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { TokensPage } from "./TokensPage.tsx";

const DAY = 24 * 3600;
const SECRET = `psc_${"x".repeat(49)}`;
const soon = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

function token(name: string, change: Partial<AccessToken> = {}): AccessToken {
  return {
    id: `ID${name}`,
    name,
    scopes: ["read"],
    clusters: [],
    createdAt: soon(-60),
    usedAt: null,
    expiresAt: soon(30 * DAY),
    own: true,
    subject: "ada",
    email: "ada@example.com",
    ...change,
  };
}

let list: AccessTokenList;
let asked: { method: string; path: string; body: unknown }[];
let answer: { status: number; body: object } | null;
let queries: QueryClient;

beforeEach(() => {
  list = {
    tokens: [token("ci")],
    scope: "self",
    admin: false,
    limits: { maxLifetimeSeconds: 90 * DAY, noExpiry: false, maxPerPerson: 3 },
  };
  asked = [];
  answer = null;
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const method = init.method ?? "GET";
    if (method !== "GET") asked.push({ method, path, body: init.body ? JSON.parse(String(init.body)) : undefined });
    if (method !== "GET" && answer) return Response.json(answer.body, { status: answer.status });
    if (method === "DELETE") return new Response(null, { status: 204 });
    if (method === "POST") return Response.json({ token: token("new"), secret: SECRET });
    return Response.json(path.startsWith("/api/clusters") ? { clusters: [{ name: "prod" }, { name: "test" }] } : list);
  });
});

function show(everybody = false, offered = true): { onEverybody: ReturnType<typeof vi.fn> } {
  queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const onEverybody = vi.fn();
  render(
    <QueryClientProvider client={queries}>
      <TipProvider>
        <TokensPage who="ada" offered={offered} everybody={everybody} onEverybody={onEverybody} />
      </TipProvider>
    </QueryClientProvider>,
  );
  return { onEverybody };
}

async function openDialog(): Promise<HTMLElement> {
  await screen.findByText("ci");
  fireEvent.click(screen.getByRole("button", { name: "New token" }));
  return screen.findByRole("dialog", { name: "New access token" });
}

const make = (dialog: HTMLElement) => within(dialog).getByRole("button", { name: "Make token" }) as HTMLButtonElement;

describe("making a token", () => {
  it("asks for what was chosen, shows the secret once and keeps it nowhere", async () => {
    show();
    const dialog = await openDialog();
    expect(make(dialog).disabled).toBe(true);
    fireEvent.change(within(dialog).getByLabelText("Name"), { target: { value: " bot " } });
    fireEvent.click(within(dialog).getByRole("checkbox", { name: /^Shells/ }));
    fireEvent.click(within(dialog).getByRole("radio", { name: /^Only these/ }));
    expect(make(dialog).disabled).toBe(true); // none is chosen yet
    fireEvent.click(await within(dialog).findByRole("checkbox", { name: "test" }));
    fireEvent.change(within(dialog).getByLabelText("Expires after"), { target: { value: String(7 * DAY) } });
    fireEvent.click(make(dialog));
    expect((await screen.findByTestId("new-token")).textContent).toBe(SECRET);
    expect(asked).toEqual([
      {
        method: "POST",
        path: "/api/auth/tokens",
        body: { name: "bot", scopes: ["read", "exec"], clusters: ["test"], lifetimeSeconds: 7 * DAY },
      },
    ]);
    fireEvent.click(screen.getByRole("button", { name: "Done" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(document.body.innerHTML).not.toContain(SECRET);
    const kept = () =>
      queries
        .getMutationCache()
        .getAll()
        .map((mutation) => mutation.state.data);
    await waitFor(() => expect(JSON.stringify(kept())).not.toContain(SECRET));
  });

  it("needs a scope, and offers administration to administrators alone", async () => {
    show();
    const dialog = await openDialog();
    fireEvent.change(within(dialog).getByLabelText("Name"), { target: { value: "bot" } });
    expect(make(dialog).disabled).toBe(false);
    fireEvent.click(within(dialog).getByRole("checkbox", { name: /^Read/ }));
    expect(make(dialog).disabled).toBe(true);
    expect(within(dialog).queryByRole("checkbox", { name: /^Administrator/ })).toBeNull();
    expect(screen.queryByRole("group", { name: "Whose" })).toBeNull();
  });

  it("says why there is none, and stays open", async () => {
    answer = { status: 503, body: { error: "E_AUDIT_UNAVAILABLE", message: "No record, no act.", requestId: "r1" } };
    show();
    const dialog = await openDialog();
    fireEvent.change(within(dialog).getByLabelText("Name"), { target: { value: "bot" } });
    fireEvent.click(make(dialog));
    expect((await within(dialog).findByRole("alert")).textContent).toContain("No record, no act.");
    expect((within(dialog).getByLabelText("Name") as HTMLInputElement).value).toBe("bot");
  });

  it("is not offered at the limit", async () => {
    list.tokens = [token("a"), token("b"), token("c")];
    show();
    await screen.findByText(/You have 3 tokens, which is the limit/);
    expect((screen.getByRole("button", { name: "New token" }) as HTMLButtonElement).disabled).toBe(true);
  });
});

it("is not offered where tokens are switched off", async () => {
  list.tokens = [];
  show(false, false);
  expect(await screen.findByText(/has switched them off/)).toBeTruthy();
  expect(screen.queryByRole("button", { name: "New token" })).toBeNull();
});

describe("the list", () => {
  it("tells expired, used and limited tokens", async () => {
    list.tokens = [
      token("old", { expiresAt: soon(-60) }),
      token("busy", { usedAt: soon(-120), clusters: ["prod", "test"] }),
      token("eternal", { expiresAt: null, scopes: ["read", "admin"] }),
    ];
    show();
    const row = async (name: string) => (await screen.findByText(name)).closest("tr")?.textContent;
    expect(await row("old")).toMatch(/all.*never.*Expired/);
    expect(await row("busy")).toMatch(/prod, test.*2m ago.*in 30d/);
    expect(screen.getByText("Administrator").title).toBe("admin");
    expect(await row("eternal")).toMatch(/ReadAdministrator.*Never/);
  });

  it("revokes one and all after a question", async () => {
    list.tokens = [token("a"), token("b")];
    show();
    fireEvent.click(await screen.findByRole("button", { name: "Revoke a" }));
    let dialog = await screen.findByRole("dialog", { name: "Revoke a?" });
    fireEvent.click(within(dialog).getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    fireEvent.click(screen.getByRole("button", { name: "Revoke all" }));
    dialog = await screen.findByRole("dialog", { name: "Revoke all of your tokens?" });
    fireEvent.click(within(dialog).getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "DELETE /api/auth/tokens/IDa",
      "DELETE /api/auth/tokens",
    ]);
  });

  it("says whose a token is, to an administrator", async () => {
    list = { ...list, admin: true, scope: "all", tokens: [token("theirs", { own: false, subject: "bob", email: "" })] };
    const { onEverybody } = show(true);
    expect((await screen.findByText("theirs")).closest("tr")?.textContent).toContain("bob");
    fireEvent.click(screen.getByRole("button", { name: "Revoke theirs" }));
    expect((await screen.findByRole("dialog")).textContent).toContain("It belongs to bob");
    fireEvent.click(screen.getByRole("button", { name: "Keep it" }));
    fireEvent.click(screen.getByRole("button", { name: "Mine" }));
    expect(onEverybody).toHaveBeenCalledWith(false);
  });

  it("says what would be there", async () => {
    list.tokens = [];
    show();
    await screen.findByText("You have no token");
  });
});
