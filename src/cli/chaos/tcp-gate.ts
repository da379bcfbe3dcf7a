/** @file A TCP proxy between one worker and the coordinator that can delay, hold back and cut connections. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** See the file's header. */
export class TcpGate {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** In the order of sending: with another delay a later byte must not overtake an earlier one. */
  readonly #underway: { readonly dueMs: number; readonly deliver: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #delayMs = 0;
  #partitioned = false;

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
    this.#partitioned = true;
  }

  heal(): void {
    this.#partitioned = false;
    this.#pump();
  }

  /** Ends all connections; new ones are taken. Returns false when there was none. */
  cut(): boolean {
    const some = this.#pairs.size > 0;
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    return some;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#underway.length = 0;
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
    const dueMs = Math.max(performance.now() + this.#delayMs, this.#underway.at(-1)?.dueMs ?? 0);
    this.#underway.push({ dueMs, deliver });
    this.#pump();
  }

  /** Delivers what is due, and comes back for the rest. */
  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#partitioned) return;
    while (this.#underway[0] !== undefined && this.#underway[0].dueMs <= performance.now()) this.#underway.shift()?.deliver();
    const next = this.#underway[0];
    if (next !== undefined) this.#timer = setTimeout(() => this.#pump(), next.dueMs - performance.now());
  }
}
