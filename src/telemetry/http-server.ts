/** @file The HTTP side of a process: /metrics for Prometheus, /livez and /readyz for whoever watches it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DeepDefenseError } from '../core/index.ts';
import type { MetricsText } from './metrics.ts';

/** Whether a process can do its work now. */
export interface Readiness {
  readonly ready: boolean;
  /** Why not, or what it is doing; one line. */
  readonly reason: string;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** What is there for this Accept header. */
  readonly scrape: (accept: string) => Promise<MetricsText>;
  /** Asked at each GET /readyz; must not block. */
  readonly readiness: () => Readiness;
  /** GET /result as JSON, of a process that has ended its work; undefined = 404. */
  readonly result?: unknown;
}

/** A running server. */
export interface HttpEndpoint {
  readonly port: number;
  /** e.g. `http://127.0.0.1:9464`. */
  readonly url: string;
  /** Stops listening and cuts open connections. */
  close(): Promise<void>;
}

const HEADERS_MS = 10_000;
const MOST_CONNECTIONS = 256;

/**
 * Starts the server. /livez is 200 whenever the event loop answers; /readyz is 200 or 503 with the reason; /result is what there is to show, if anything.
 * @throws DeepDefenseError PORT_IN_USE when another process has the port; CONNECT_FAILED when the address can't be listened on.
 */
export async function startHttpServer({ host, port, scrape, readiness, result }: HttpServerOptions): Promise<HttpEndpoint> {
  const server = createServer((request, response) => {
    void answer(request, response, { scrape, readiness, result });
  });
  // Whoever connects and says nothing, or opens many connections, takes no more than this.
  server.headersTimeout = HEADERS_MS;
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, host, port);
  const bound = (server.address() as AddressInfo).port;
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return {
    port: bound,
    url: `http://${shown}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  { method = 'GET', url = '/', headers }: IncomingMessage,
  response: ServerResponse,
  { scrape, readiness, result }: Pick<HttpServerOptions, 'scrape' | 'readiness' | 'result'>,
): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'only GET and HEAD\n', { allow: 'GET, HEAD' });
  // Not through URL, which throws for paths such as `//`.
  const [path = '/'] = url.split('?');
  try {
    switch (path) {
      case '/metrics': {
        const { text, contentType } = await scrape(headers.accept ?? '');
        return send(response, 200, text, { 'content-type': contentType, vary: 'accept' });
      }
      case '/livez':
        return send(response, 200, 'ok\n');
      case '/readyz': {
        const { ready, reason } = readiness();
        return send(response, ready ? 200 : 503, `${ready ? 'ready' : 'not ready'}: ${reason}\n`);
      }
      case '/result':
        if (result === undefined) return send(response, 404, 'there is no result yet\n');
        return send(response, 200, `${JSON.stringify(result)}\n`, { 'content-type': 'application/json' });
      default:
        return send(response, 404, 'try /metrics, /livez or /readyz\n');
    }
  } catch (error) {
    send(response, 500, `${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function send(response: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers });
  response.end(body);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === 'EADDRINUSE';
      reject(
        new DeepDefenseError(inUse ? 'PORT_IN_USE' : 'CONNECT_FAILED', {
          what: inUse ? `HTTP port ${port} on "${host}" is in use` : `can't listen on "${host}" port ${port}`,
          got: cause.message,
          todo: inUse ? 'stop the process that has it, or choose another HTTP port or 0' : 'check the address and permissions',
          fields: { host, port },
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}
