/**
 * @file A wider HTTP/2 receive window for a grpc-js server. The option `grpc-node.flow_control_window` is read by clients only
 * (1.14), so a server takes 64 KiB per round trip: 8 MB/s at 10 ms, which would bound the upload of gradients.
 */
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** The one private method that this file relies on; the version of grpc-js is pinned and a test watches the effect. */
interface ServerInternals {
  createHttp2Server?: (...args: unknown[]) => Http2Server;
}

/** Sets the receive window of every connection and stream of the server; call before binding. Without the internals it does nothing. */
export function widenReceiveWindow(server: Server, windowBytes: number): void {
  const internals = server as unknown as ServerInternals;
  const create = internals.createHttp2Server;
  if (create === undefined) return;
  internals.createHttp2Server = (...args) => {
    const http2Server = create.apply(server, args);
    http2Server.prependListener('session', (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: windowBytes });
      session.setLocalWindowSize(windowBytes);
    });
    return http2Server;
  };
}
