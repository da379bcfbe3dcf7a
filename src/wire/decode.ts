/** @file Reading requests within limits: what is too large or no message is reported, and its call ends with INTERNAL. */
import type { ReportSecurityEvent } from '../security/index.ts';

/**
 * A deserialiser that refuses and reports.
 * @param mostBytes of one message; the server's own limit, that of its largest method, ends a call before the bytes are taken
 */
export function limitedDecoder<Message>(
  decode: (bytes: Buffer) => Message,
  { mostBytes, method, report }: { readonly mostBytes: number; readonly method: string; readonly report: ReportSecurityEvent },
): (bytes: Buffer) => Message {
  return (bytes) => {
    if (bytes.length > mostBytes) {
      report('oversized-message', { method, bytes: bytes.length });
      throw new Error(`a message of ${bytes.length} bytes`);
    }
    try {
      return decode(bytes);
    } catch (error) {
      report('malformed-message', { method, reason: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  };
}
