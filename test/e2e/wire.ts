/** A network that can be cut: a TCP proxy between the browser and the server. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `silent`: connections stand, and nothing passes, as on a Wi-Fi that was left. `refusing`: every connection is reset at once, as while a proxy restarts. */
export type Wire = "open" | "silent" | "refusing";

export class CuttableNetwork {
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<[Socket, Socket]>();
  /** It listens all the time: a port that is given up may be somebody else's when it is wanted again. */
  readonly #server: Server = createServer((client) => this.#accept(client));
  #state: Wire = "open";
  /** Connections that reached the server. */
  connections = 0;
  #breakAfter: { bytes: number; broken: () => void } | null = null;

  constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port) };
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    await new Promise<void>((ready) => this.#server.listen(0, "127.0.0.1", ready));
  }

  async stop(): Promise<void> {
    const closed = new Promise((done) => this.#server.close(done));
    this.breakAll();
    await closed;
  }

  /** Every connection is reset at once; new ones are made as before. */
  breakAll(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    this.#pairs.clear();
  }

  /** Breaks every connection as soon as so many bytes more have passed, either way. */
  breakAfter(bytes: number): Promise<void> {
    return new Promise((broken) => {
      this.#breakAfter = { bytes, broken };
    });
  }

  #passed(bytes: number): void {
    const wanted = this.#breakAfter;
    if (!wanted) return;
    wanted.bytes -= bytes;
    if (wanted.bytes > 0) return;
    this.#breakAfter = null;
    this.breakAll();
    wanted.broken();
  }

  set(state: Wire): void {
    const before = this.#state;
    this.#state = state;
    // What was held meanwhile is gone, as on a network that one has left: TCP cannot go on.
    if (state === "refusing" || (before === "silent" && state === "open")) this.breakAll();
    if (state === "silent") for (const pair of this.#pairs) for (const socket of pair) socket.pause().unpipe();
  }

  #accept(client: Socket): void {
    client.on("error", () => {});
    if (this.#state === "refusing") {
      client.resetAndDestroy();
      return;
    }
    if (this.#state === "silent") {
      this.#pairs.add([client, client]);
      return;
    }
    this.connections++;
    const server = connect(this.#target);
    server.on("error", () => {});
    const pair: [Socket, Socket] = [client, server];
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (chunk) => this.#passed(chunk.length));
      from.pipe(to);
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
