import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Fault, Skeleton } from "./states.tsx";
import { useAsked } from "./useAsked.ts";

interface Answer {
  resolve(text: string): void;
  reject(error: Error): void;
}

/** Each call waits for its own answer. */
let asked: Answer[];
let client: QueryClient;

beforeEach(() => {
  asked = [];
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
});
afterEach(() => client.clear());

function Page({ id }: { id: string }) {
  const { query, waiting, failure } = useAsked({
    queryKey: ["thing", id],
    queryFn: () => new Promise<string>((resolve, reject) => asked.push({ resolve, reject })),
  });
  const fault = { kind: "other", title: "It failed", message: "No luck.", next: "", requestId: "" } as const;
  return (
    <>
      {query.data}
      {waiting ? <Skeleton label="Loading" /> : null}
      {failure ? <Fault fault={{ ...fault, requestId: failure.message }} retry={() => query.refetch()} /> : null}
    </>
  );
}

const wrapped = (id = "a") => (
  <QueryClientProvider client={client}>
    <Page id={id} />
  </QueryClientProvider>
);
/** What a call that is under way gets. */
const answer = (how: (call: Answer) => void) =>
  act(async () => {
    how(asked.at(-1) as Answer);
    await vi.waitFor(() => expect(client.isFetching()).toBe(0));
  });
/** Asks again; the page is told of it in a task of its own. */
const again = () =>
  act(async () => {
    void client.refetchQueries();
    await new Promise((resolve) => setTimeout(resolve));
  });

it("goes on saying why there is nothing while it is asked again", async () => {
  render(wrapped());
  expect(screen.getByRole("status", { name: "Loading" })).toBeTruthy();
  await answer((call) => call.reject(new Error("r-1")));
  const alert = screen.getByRole("alert");
  const retry = screen.getByRole("button", { name: "Try again" });
  retry.focus();

  // Nothing in it moves until the next answer, and then nothing but the request's id, which is not read aloud.
  const moved: Node[] = [];
  const watch = new MutationObserver((records) => moved.push(...records.map(({ target }) => target)));
  watch.observe(document.body, { childList: true, characterData: true, attributes: true, subtree: true });
  await again();
  expect(asked).toHaveLength(2);
  expect(screen.queryByRole("status")).toBeNull();
  expect([...moved, ...watch.takeRecords()]).toEqual([]);
  await answer((call) => call.reject(new Error("r-2")));
  expect(screen.getByText("r-2")).toBeTruthy();
  for (const { target } of watch.takeRecords()) moved.push(target);
  watch.disconnect();
  expect(moved.length).toBeGreaterThan(0);
  for (const node of moved) {
    const element = node instanceof Element ? node : node.parentElement;
    expect(element?.closest("[aria-live]")?.getAttribute("aria-live")).toBe("off");
  }
  expect(screen.getByRole("alert")).toBe(alert);
  expect(document.activeElement).toBe(retry);

  fireEvent.click(retry);
  await answer((call) => call.resolve("all is well"));
  expect(screen.getByText("all is well")).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
});

it("says it at once on a page that is opened again", async () => {
  const { unmount } = render(wrapped());
  await answer((call) => call.reject(new Error("r-1")));
  unmount();
  render(wrapped());
  expect(asked).toHaveLength(2);
  expect(screen.getByText("r-1")).toBeTruthy();
});

it("says of another question only what became of that", async () => {
  const { rerender } = render(wrapped());
  await answer((call) => call.reject(new Error("r-1")));
  rerender(wrapped("b"));
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByRole("status", { name: "Loading" })).toBeTruthy();
});
