/** @file A TCP proxy between one worker and the coordinator that can delay, hold back and cut connections. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** See the file's header. */
export class TcpGate {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #held: (() => void)[] = [];
  #delayMs = 0;
  #closed = false;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ noDelay: true }, (near) => this.#join(near));
  }

  /** Listens on a free loopback port and forwards to `targetPort`. */
  static async open(targetPort: number): Promise<TcpGate> {
    const gate = new TcpGate(targetPort);
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    return gate;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Everything that is sent from now on arrives so much later; 0 = at once. */
  delay(milliseconds: number): void {
    this.#delayMs = milliseconds;
  }

  /** Holds everything back, as a network does that will come back: nothing is lost, {@link heal} delivers it. */
  partition(): void {
    this.#closed = true;
  }

  heal(): void {
    this.#closed = false;
    for (const deliver of this.#held.splice(0)) deliver();
  }

  /** Ends all connections; new ones are taken. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true });
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        // The other side hears of it as late as of anything else.
        this.#send(() => pair.forEach((one) => one.destroy()));
      });
    }
    near.on('data', (data: Buffer) => this.#send(() => far.write(data)));
    far.on('data', (data: Buffer) => this.#send(() => near.write(data)));
  }

  #send(deliver: () => void): void {
    const due = (): void => {
      if (this.#closed) this.#held.push(deliver);
      else deliver();
    };
    if (this.#delayMs === 0) due();
    else setTimeout(due, this.#delayMs);
  }
}
