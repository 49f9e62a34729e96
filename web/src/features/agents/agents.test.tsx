import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Agent, AgentToken, Cluster, WaitingToken } from "../../api/types.ts";
import { TipProvider } from "../../ui/Tip.tsx";
import { AgentsPage } from "./AgentsPage.tsx";
import { beforeOf, breakCommand, certificate, likelyTopology, progressOf, rowsOf } from "./agents.ts";

const DAY = 24 * 3600;
const SECRET = "psr_SECRET";
const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

function agent(cluster: string, change: Partial<Agent> = {}): Agent {
  return {
    cluster,
    registeredAt: at(-DAY),
    mintedBy: { subject: "ada", email: "ada@example.com" },
    issuedAt: at(-DAY),
    renewAt: at(59 * DAY),
    expiresAt: at(89 * DAY),
    certificates: 1,
    ...change,
  };
}

function cluster(name: string, link: Cluster["link"], change: Partial<Cluster> = {}): Cluster {
  return { name, backend: "agent", connected: link?.state === "connected", link, ...change } as Cluster;
}

const connected = (since: string) => ({ state: "connected", since, agentVersion: "1.2.0" }) as const;
const never = { state: "away", since: null, agentVersion: "" } as const;

function minted(name: string, expiresAt: string): AgentToken {
  const line = (url: string) => `PERISCOPE_SERVER_URL=${url} PERISCOPE_REGISTRATION_TOKEN=${SECRET} periscope-agent`;
  return {
    id: "ID",
    cluster: name,
    token: SECRET,
    expiresAt,
    caHash: "sha256:00ff",
    commands: { oneUrl: line("wss://one"), twoUrls: line("wss://two"), selfSigned: line("wss://self") },
  };
}

describe("rows", () => {
  it("are those of either list, by name", () => {
    const rows = rowsOf([agent("b"), agent("gone")], [cluster("b", never), cluster("a", never)]);
    expect(rows.map((row) => [row.cluster, row.agent !== null, row.found !== null])).toEqual([
      ["a", false, true],
      ["b", true, true],
      ["gone", true, false],
    ]);
  });

  it("leave out what is reached without an agent", () => {
    expect(rowsOf([], [cluster("direct", null, { backend: "eks" })])).toEqual([]);
  });
});

describe("a certificate", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  const day = (n: number) => new Date(now + n * DAY * 1000).toISOString();
  it.each([
    [60, 90, "neutral", "in 90d"],
    [-14, 16, "neutral", "in 16d"],
    [-16, 14, "attention", "in 14d"],
    [-30, 0, "broken", "Expired"],
  ])("to be renewed in %i days, which ends in %i", (renew, end, tone, word) => {
    expect(certificate({ renewAt: day(renew), expiresAt: day(end) }, now)).toEqual({ tone, word });
  });
});

describe("progress", () => {
  const old = agent("edge", { registeredAt: "2026-01-01T00:00:00Z" });
  const fresh = agent("edge", { registeredAt: "2026-01-02T00:00:00Z" });
  const [then, later] = [connected("2026-01-01T00:00:01Z"), connected("2026-01-02T00:00:01Z")];

  it("of a first agent", () => {
    const before = beforeOf(undefined, never);
    const of = (now: Partial<Parameters<typeof progressOf>[1]>) =>
      progressOf(before, { agent: undefined, link: never, expired: false, ...now });
    expect(of({})).toBe("waiting");
    expect(of({ expired: true })).toBe("expired");
    expect(of({ agent: fresh })).toBe("registered");
    // A token that did its work may expire.
    expect(of({ agent: fresh, expired: true })).toBe("registered");
    expect(of({ agent: fresh, link: later, expired: true })).toBe("connected");
  });

  it("of one that takes another's place: that one is not it, however often it reconnects", () => {
    const before = beforeOf(old, then);
    const of = (one: Agent, link: Cluster["link"]) => progressOf(before, { agent: one, link, expired: false });
    expect(of(old, then)).toBe("waiting");
    expect(of(old, later)).toBe("waiting");
    expect(of(fresh, then)).toBe("registered");
    expect(of(fresh, { ...later, state: "reconnecting" })).toBe("registered");
    expect(of(fresh, later)).toBe("connected");
  });
});

it("breaks a command so that a shell still takes it as one", () => {
  expect(breakCommand("A=1 B=2 run")).toBe("A=1 \\\n  B=2 \\\n  run");
  expect([likelyTopology("https:"), likelyTopology("http:")]).toEqual(["twoUrls", "selfSigned"]);
});

let agents: { status: number; body: object };
let clusters: Cluster[];
let asked: { method: string; path: string; body: unknown }[];
let answer: { status: number; body: object } | null;
let queries: QueryClient;

beforeEach(() => {
  agents = { status: 200, body: { agents: [agent("edge")], tokens: [] } };
  clusters = [cluster("edge", connected(at(-60))), cluster("lab", never)];
  asked = [];
  answer = null;
  queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const method = init.method ?? "GET";
    if (method === "GET" && path === "/api/clusters") return Response.json({ clusters });
    if (method === "GET") return Response.json(agents.body, { status: agents.status });
    asked.push({ method, path, body: init.body ? JSON.parse(String(init.body)) : undefined });
    if (answer) return Response.json(answer.body, { status: answer.status });
    if (method === "DELETE") return new Response(null, { status: 204 });
    return Response.json(minted(JSON.parse(String(init.body)).cluster, at(900)));
  });
});

afterEach(() => queries.clear());

/** The page, with its address in a state. */
function show(first?: string): ReturnType<typeof vi.fn> {
  const onAdd = vi.fn();
  function Page() {
    const [adding, setAdding] = useState(first);
    onAdd.mockImplementation(setAdding);
    return <AgentsPage who="ada" adding={adding} onAdd={onAdd} />;
  }
  render(
    <QueryClientProvider client={queries}>
      <TipProvider>
        <Page />
      </TipProvider>
    </QueryClientProvider>,
  );
  return onAdd;
}

const row = async (name: string) => (await screen.findByText(name)).closest("tr")?.textContent;
const progress = () => screen.getByTestId("agent-progress").textContent;

/** What the page asks every few seconds, at once. */
const again = () => act(() => queries.refetchQueries());

describe("the page", () => {
  it("says of each agent how it stands, since when, and who let it in", async () => {
    clusters.push(cluster("far", { state: "away", since: at(-130), agentVersion: "" }));
    agents.body = {
      agents: [agent("edge"), agent("far", { renewAt: at(-20 * DAY), expiresAt: at(5 * DAY) }), agent("old")],
      tokens: [],
    };
    const onAdd = show();
    expect(await row("edge")).toMatch(/Connected.*60s.*1\.2\.0.*ada@example\.com.*in 89d/);
    expect(await row("far")).toMatch(/Away.*2m10s.*in 5d.*not renewed in time/);
    expect(await row("lab")).toMatch(/Not registered.*Connect/);
    expect(await row("old")).toContain("Not in clusters.yaml");
    expect(screen.queryByRole("button", { name: "New token for old" })).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Connect lab" }));
    expect(onAdd).toHaveBeenLastCalledWith("lab");
    await screen.findByRole("dialog", { name: "Add cluster" });
  });

  it("says what to write where no cluster has an agent", async () => {
    agents = { status: 404, body: { error: "E_NOT_FOUND", message: "No cluster …" } };
    clusters = [];
    show();
    await screen.findByText("No cluster is reached through an agent");
    expect(screen.getByText(/backend: agent/).textContent).toBe(
      "clusters:\n  - name: prod-onprem\n    backend: agent\n",
    );
    screen.getByText(/PERISCOPE_AGENT_TUNNEL_SANS/);
    expect(screen.queryByRole("button", { name: "Add cluster" })).toBeNull();
  });

  it("says whom to ask, to whoever may not see it", async () => {
    agents = {
      status: 403,
      body: { error: "E_FORBIDDEN", message: "Only administrators of Periscope see to agents." },
    };
    show();
    expect((await screen.findByRole("alert")).textContent).toMatch(/Only administrators.*signed in as ada/);
  });

  it("revokes after a question that says what happens", async () => {
    agents.body = { agents: [agent("edge", { certificates: 2 })], tokens: [] };
    show();
    fireEvent.click(await screen.findByRole("button", { name: "Revoke edge" }));
    const dialog = await screen.findByRole("dialog", { name: "Revoke the agent of edge?" });
    expect(dialog.textContent).toMatch(/link ends at once.*All 2 of its certificates are refused/);
    answer = { status: 503, body: { error: "E_AUDIT_UNAVAILABLE", message: "No record, no act." } };
    fireEvent.click(within(dialog).getByRole("button", { name: "Revoke" }));
    expect((await within(dialog).findByRole("alert")).textContent).toContain("No record, no act.");
    answer = null;
    fireEvent.click(within(dialog).getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(asked.at(-1)).toMatchObject({ method: "DELETE", path: "/api/agents/edge" });
  });
});

describe("tokens that wait", () => {
  const waits = (id: string, name: string, seconds: number): WaitingToken => ({
    id,
    cluster: name,
    mintedBy: { subject: "ada", email: "ada@example.com" },
    createdAt: at(seconds - 900),
    expiresAt: at(seconds),
  });
  const listed = () => screen.queryByRole("list", { name: "Tokens that wait for an agent" });

  it("are listed with the time that is left, also of a cluster without an agent", async () => {
    agents.body = { agents: [], tokens: [waits("t1", "lab", 600), waits("t2", "edge", -1)] };
    show();
    const list = await screen.findByRole("list", { name: "Tokens that wait for an agent" });
    expect(within(list).getAllByRole("listitem")).toHaveLength(1); // the other one has expired
    expect(list.textContent).toMatch(/lab.*made 5m.* ago by ada@example\.com.*expires in (10:00|09:5\d)/);
  });

  it("leave no trace where there are none", async () => {
    show();
    await screen.findByText("edge");
    expect(listed()).toBeNull();
    expect(screen.queryByText(/wait for an agent/)).toBeNull();
  });

  it("are withdrawn, and where that fails it says why", async () => {
    agents.body = { agents: [], tokens: [waits("t1", "lab", 600)] };
    show();
    const withdraw = await screen.findByRole("button", { name: "Withdraw the token for lab" });
    answer = { status: 503, body: { error: "E_AUDIT_UNAVAILABLE", message: "No record, no act." } };
    fireEvent.click(withdraw);
    expect((await screen.findByRole("alert")).textContent).toContain("The token was not withdrawn. No record, no act.");
    answer = null;
    agents.body = { agents: [], tokens: [] };
    fireEvent.click(withdraw);
    await waitFor(() => expect(listed()).toBeNull());
    expect(asked.at(-1)).toMatchObject({ method: "DELETE", path: "/api/agents/lab/tokens/t1" });
  });
});

describe("adding a cluster", () => {
  const make = () => screen.getByRole("button", { name: "Make token" }) as HTMLButtonElement;

  it("proposes the only one that waits, and warns of one that has an agent", async () => {
    show("");
    const dialog = await screen.findByRole("dialog", { name: "Add cluster" });
    expect((within(dialog).getByRole("radio", { name: /^lab/ }) as HTMLInputElement).checked).toBe(true);
    expect(screen.queryByText(/takes its place/)).toBeNull();
    fireEvent.click(within(dialog).getByRole("radio", { name: /^edge/ }));
    screen.getByText(/takes its place/);
    expect(make().disabled).toBe(false);
  });

  it("asks which, where several wait", async () => {
    clusters.push(cluster("lab-2", never));
    show("");
    await screen.findByRole("dialog");
    expect(make().disabled).toBe(true);
    fireEvent.click(screen.getByRole("radio", { name: /^lab-2/ }));
    fireEvent.click(make());
    await screen.findByRole("dialog", { name: "Connect lab-2" });
    expect(asked).toEqual([{ method: "POST", path: "/api/agents/tokens", body: { cluster: "lab-2" } }]);
  });

  it("shows the lines for clusters.yaml where there is none to choose", async () => {
    agents.body = { agents: [agent("given-up")], tokens: [] };
    clusters = [];
    show("");
    const dialog = await screen.findByRole("dialog", { name: "Add cluster" });
    within(dialog).getByText(/backend: agent/);
    expect(within(dialog).queryByRole("button", { name: "Make token" })).toBeNull();
  });

  it("says why there is no token, and stays", async () => {
    answer = { status: 429, body: { error: "E_RATE_LIMITED", message: "1000 registration tokens wait." } };
    show("lab");
    await screen.findByRole("dialog");
    fireEvent.click(make());
    expect((await screen.findByRole("alert")).textContent).toContain(
      "No token was made. 1000 registration tokens wait.",
    );
    expect(make().disabled).toBe(false);
  });

  it("has a command for each way, follows the agent until it is there, and keeps the token nowhere", async () => {
    show("lab");
    await screen.findByRole("dialog");
    fireEvent.click(make());
    const command = await screen.findByTestId("agent-command");
    expect(command.textContent).toContain("wss://self"); // of a page without TLS
    fireEvent.click(screen.getByRole("button", { name: "Two URLs" }));
    expect(command.textContent).toBe(
      `PERISCOPE_SERVER_URL=wss://two \\\n  PERISCOPE_REGISTRATION_TOKEN=${SECRET} \\\n  periscope-agent`,
    );
    expect(progress()).toBe("Waiting for the agent");
    expect(screen.getByRole("timer").textContent).toMatch(/1[45]:\d\d/);

    agents.body = { agents: [agent("edge"), agent("lab", { registeredAt: at(0) })], tokens: [] };
    await again();
    await waitFor(() => expect(progress()).toMatch(/^The agent has registered/));
    clusters = [clusters[0] as Cluster, cluster("lab", connected(at(-3)))];
    await again();
    await waitFor(() => expect(progress()).toBe("Connected, agent 1.2.0"));
    fireEvent.click(screen.getByRole("button", { name: "Done" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(document.body.innerHTML).not.toContain(SECRET);
    const kept = () => [...queries.getMutationCache().getAll(), ...queries.getQueryCache().getAll()];
    await waitFor(() => expect(JSON.stringify(kept().map(({ state }) => state.data))).not.toContain(SECRET));
  });

  it("says that the token has expired, and makes another", async () => {
    show("lab");
    await screen.findByRole("dialog");
    answer = { status: 200, body: minted("lab", at(-1)) };
    fireEvent.click(make());
    await waitFor(() => expect(progress()).toMatch(/^The token has expired/));
    expect(screen.queryByTestId("agent-command")).toBeNull();
    answer = { status: 200, body: { ...minted("lab", at(900)), id: "ID2" } };
    fireEvent.click(screen.getByRole("button", { name: "Make another token" }));
    await screen.findByTestId("agent-command");
    expect(progress()).toBe("Waiting for the agent");
  });
});
