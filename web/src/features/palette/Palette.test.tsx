import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cluster, PodSummary } from "../../api/types.ts";
import { Palette } from "./Palette.tsx";

const cluster = (name: string, change: Partial<Cluster> = {}) =>
  ({ name, connected: true, environment: "", execEnabled: true, link: null, ...change }) as Cluster;
const pod = (name: string, namespace = "shop") => ({ uid: `u-${name}`, name, namespace }) as PodSummary;
const NO = { error: "E_FORBIDDEN", message: "pods is forbidden", requestId: "r-1" };
const actions = { goToCluster: vi.fn(), goToPod: vi.fn(), openShell: vi.fn() };

/** Each list of pods waits for its own answer, by cluster. */
let answers: Map<string, (response: Response) => void>;
let clusters: Cluster[];
let refusal: Response | null;
let client: QueryClient;

beforeEach(() => {
  answers = new Map();
  clusters = [cluster("prod")];
  refusal = null;
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  vi.stubGlobal("fetch", (path: string) => {
    if (path === "/api/clusters") return Promise.resolve(refusal ?? Response.json({ clusters }));
    const [, name = ""] = /^\/api\/clusters\/([^/]+)\/pods\?/.exec(path) ?? [];
    return new Promise<Response>((resolve) => answers.set(name, resolve));
  });
  return () => client.clear();
});
afterEach(() => vi.unstubAllGlobals());

function open(at = "prod") {
  render(
    <QueryClientProvider client={client}>
      <Palette onClose={() => {}} cluster={at} commands={[]} actions={actions} />
    </QueryClientProvider>,
  );
}

async function answer(name: string, response: Response) {
  await vi.waitFor(() => expect(answers.has(name)).toBe(true));
  await act(async () => answers.get(name)?.(response));
}
const type = (typed: string) => fireEvent.change(screen.getByRole("combobox"), { target: { value: typed } });
const names = () => screen.queryAllByRole("option").map((option) => option.textContent);
const notes = () => [...screen.getByRole("status").children].map((note) => note.textContent);

it("goes nowhere by a key that only composes a letter", async () => {
  client.setQueryData(["pods", "prod", ""], [pod("web-0")]);
  open();
  await vi.waitFor(() => expect(names()).toContain("web-0shop"));
  type("web");
  fireEvent.keyDown(screen.getByRole("combobox"), { key: "Enter", keyCode: 229 });
  expect(actions.goToPod).not.toHaveBeenCalled();
  fireEvent.keyDown(screen.getByRole("combobox"), { key: "Enter" });
  expect(actions.goToPod).toHaveBeenCalled();
});

describe("what the palette does not list", () => {
  it("is said while it is loading, and not called a thing that does not match", async () => {
    open();
    await screen.findByText("Still loading the pods of prod");
    type("web-0");
    expect(screen.getByText("Nothing matches “web-0” so far.")).toBeTruthy();
    await answer("prod", Response.json({ pods: [pod("web-0")] }));
    await vi.waitFor(() => expect(names()).toEqual(["web-0shop"]));
    expect(notes()).toEqual([]);
    type("nothing of the kind");
    expect(screen.getByText("Nothing matches “nothing of the kind”.")).toBeTruthy();
  });

  it("is said where it may not be listed, also while it is asked again", async () => {
    open();
    await answer("prod", Response.json(NO, { status: 403 }));
    await screen.findByText("Pods of prod are not listed: You may not do this");
    await act(async () => {
      void client.refetchQueries({ queryKey: ["pods"] });
      await new Promise((resolve) => setTimeout(resolve));
    });
    expect(notes()).toEqual(["Pods of prod are not listed: You may not do this"]);
    type("web-0");
    expect(screen.getByText("Nothing matches “web-0”.")).toBeTruthy();
  });

  it("is made up for by what was shown of single namespaces", async () => {
    client.setQueryData(["pods", "prod", "shop"], [pod("web-0")]);
    client.setQueryData(["pods", "prod", "tools"], [pod("toolbox", "tools")]);
    client.setQueryData(["pods", "other", "shop"], [pod("elsewhere")]);
    open();
    await answer("prod", Response.json(NO, { status: 403 }));
    await screen.findByText("Only some pods of prod are listed: You may not do this");
    expect(names()).toEqual(["web-0shop", "toolboxtools", "prod"]);
    act(() => client.setQueryData(["pods", "prod", "shop"], [pod("web-1")]));
    await vi.waitFor(() => expect(names()).toEqual(["web-1shop", "toolboxtools", "prod"]));
  });

  it("takes a namespace's pods once where all are listed", async () => {
    client.setQueryData(["pods", "prod", "shop"], [pod("web-0")]);
    open();
    await answer("prod", Response.json({ pods: [pod("web-0"), pod("db-0")] }));
    await vi.waitFor(() => expect(names()).toEqual(["web-0shop", "db-0shop", "prod"]));
  });

  it("is all there is where not even the clusters are", async () => {
    refusal = Response.json({ error: "E_TIMEOUT", message: "Too long." }, { status: 504 });
    open("");
    expect(screen.getByText("Still loading the clusters")).toBeTruthy();
    expect(notes()).toEqual([]);
    await screen.findByText("Clusters are not listed: It took too long");
  });

  it("is told of all clusters together", async () => {
    const link = (state: "reconnecting" | "away") => ({ state, since: null, agentVersion: "" }) as const;
    clusters = [
      cluster("a"),
      cluster("b"),
      cluster("c", { link: link("reconnecting") }),
      cluster("d", { link: link("away"), connected: false }),
    ];
    open("");
    await screen.findByText("Still loading the pods of a, b");
    // What is read out does not change with each list that comes.
    const missing = ["Pods of c are not listed: reconnecting", "Pods of d are not listed: away"];
    expect(notes()).toEqual(missing);
    await answer("a", Response.json({ pods: [] }));
    await screen.findByText("Still loading the pods of b");
    expect(notes()).toEqual(missing);
    expect(answers.has("c")).toBe(false);
  });
});
