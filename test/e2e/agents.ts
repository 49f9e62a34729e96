/** Answers about agents' links in all their states, which no demo can be in at once. */
import type { Page, Route } from "playwright-core";

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
const DAY = 24 * 3600;

type State = "connected" | "reconnecting" | "away";
export type Link = { state: State; since: string | null; agentVersion: string };

export const link = (state: State, seconds: number | null, agentVersion = ""): Link => ({
  state,
  since: seconds === null ? null : ago(seconds),
  agentVersion,
});

const LINKS: Record<string, Link> = {
  "factory-augsburg": link("connected", 9 * DAY, "1.4.0"),
  "factory-lyon": link("reconnecting", 4, "1.4.0"),
  "shop-floor-7": link("away", 130, "1.3.2"),
  "warehouse-onprem-eu-central-2": link("away", null),
};

/** Clusters behind agents beside those of the demo. */
export async function withLinks(page: Page, links = LINKS): Promise<void> {
  await page.route("**/api/clusters", async (route) => {
    const answer = await route.fetch();
    const { clusters } = await answer.json();
    const more = Object.entries(links).map(([name, of]) => ({
      ...clusters[0],
      name,
      backend: "agent",
      connected: of.state !== "away",
      version: of.state === "connected" ? clusters[0].version : "",
      link: of,
    }));
    await route.fulfill({ response: answer, json: { clusters: [...clusters, ...more] } });
  });
}

/** The demo's own cluster, as if an agent were in between. */
export async function demoBehind(page: Page, of: Link): Promise<void> {
  await page.route("**/api/clusters", async (route) => {
    const answer = await route.fetch();
    const { clusters } = await answer.json();
    const [demo, ...others] = clusters;
    await route.fulfill({ response: answer, json: { clusters: [{ ...demo, backend: "agent", link: of }, ...others] } });
  });
}

/** Its lists, while that agent is away. */
export async function demoAway(page: Page, since: string | null): Promise<void> {
  await page.route("**/api/clusters/demo/**", (route) =>
    refuse(route, 503, { error: "E_AGENT_DISCONNECTED", message: "The agent of cluster demo is away.", since }),
  );
}

const refuse = (route: Route, status: number, body: object) =>
  route.fulfill({ status, json: { requestId: "566f1a0b9dbd7758fa295949", ...body } });

function agent(cluster: string, registered: number, left: number) {
  return {
    cluster,
    registeredAt: ago(registered),
    mintedBy: { subject: "ada", email: "ada@example.com" },
    issuedAt: ago(90 * DAY - left),
    renewAt: ago(30 * DAY - left),
    expiresAt: ago(-left),
    certificates: 1,
  };
}

function waiting(cluster: string, left: number) {
  return {
    id: "WAITS",
    cluster,
    mintedBy: { subject: "ada", email: "ada@example.com" },
    createdAt: ago(900 - left),
    expiresAt: ago(-left),
  };
}

const PIN = "sha256:5e18e01484cf4bc68f05be8cb5d3be41cccdef86bca2ccd0a091bff4b84e3a94";
const TOKEN = "psr_C3KKMBOOUKXLRRTX3B65EIPEUK6C6XTFHXUMOWEEWOLRCYRQBGLM";

function minted(cluster: string, left: number) {
  const line = (url: string, more: string) =>
    `PERISCOPE_SERVER_URL=${url}/api/agents/connect PERISCOPE_CLUSTER_NAME=${cluster} ${more} PERISCOPE_REGISTRATION_TOKEN=${TOKEN} periscope-agent`;
  const pinned = `PERISCOPE_SERVER_CA_HASH=${PIN}`;
  return {
    id: "ID",
    cluster,
    token: TOKEN,
    expiresAt: ago(-left),
    caHash: PIN,
    commands: {
      oneUrl: line("wss://agents.example.com", pinned),
      twoUrls: line(
        "wss://agents.example.com:8443",
        "PERISCOPE_REGISTRATION_URL=https://periscope.example.com/api/agents/register",
      ),
      selfSigned: line("wss://agents.example.com:8443", pinned),
    },
  };
}

/** What is registered, and tokens that hold for so long. */
export async function withAgents(page: Page, tokenLeft = 900): Promise<void> {
  const agents = [
    agent("factory-augsburg", 200 * DAY, 71 * DAY),
    agent("factory-lyon", 40 * DAY, 50 * DAY),
    agent("given-up", 400 * DAY, -DAY),
    agent("shop-floor-7", 88 * DAY, 6 * DAY),
  ];
  await page.route("**/api/agents", (route) =>
    route.fulfill({ json: { agents, tokens: [waiting("warehouse-onprem-eu-central-2", 431)] } }),
  );
  await page.route("**/api/agents/tokens", (route) =>
    route.fulfill({ json: minted(route.request().postDataJSON().cluster, tokenLeft) }),
  );
}

/** The agent for which a token was made is there. */
export async function agentCame(page: Page, cluster: string): Promise<void> {
  await page.route("**/api/agents", (route) =>
    route.fulfill({ json: { agents: [agent(cluster, 3, 90 * DAY)], tokens: [] } }),
  );
  await withLinks(page, { [cluster]: link("connected", 2, "1.4.0") });
}

/** A server none of whose clusters has an agent. */
export async function noAgents(page: Page): Promise<void> {
  await page.route("**/api/agents", (route) =>
    refuse(route, 404, { error: "E_NOT_FOUND", message: "No cluster of this server is reached through an agent." }),
  );
}
