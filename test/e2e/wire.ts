/** A network that can be cut: a TCP proxy between the browser and the server. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `silent`: connections stand, and nothing passes, as on a Wi-Fi that was left. `refusing`: nobody is there, as while a proxy restarts. */
export type Wire = "open" | "silent" | "refusing";

export class CuttableNetwork {
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<[Socket, Socket]>();
  #server: Server | null = null;
  #state: Wire = "open";
  #port = 0;
  /** Connections that reached the server. */
  connections = 0;
  #breakAfter: { bytes: number; broken: () => void } | null = null;

  constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port) };
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const server = createServer((client) => this.#accept(client));
    await new Promise<void>((ready) => server.listen(this.#port, "127.0.0.1", ready));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    const closed = server && new Promise((done) => server.close(done));
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

  async set(state: Wire): Promise<void> {
    const before = this.#state;
    this.#state = state;
    if (state === "refusing") await this.stop();
    else if (before === "refusing") await this.start();
    // What was held meanwhile is gone, as on a network that one has left: TCP cannot go on.
    if (before === "silent" && state === "open") this.breakAll();
    if (state === "silent") for (const pair of this.#pairs) for (const socket of pair) socket.pause().unpipe();
  }

  #accept(client: Socket): void {
    client.on("error", () => {});
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
