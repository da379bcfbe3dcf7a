/** @file What a server counts and logs when somebody does what no honest peer does. The kinds are the values of a metric's label. */

/** Kinds with their meanings, as docs/metrics.md and docs/security.md have them. */
export const SECURITY_EVENTS = {
  'tls-handshake': 'no certificate, one of another authority, an ended one, or no TLS at all',
  'identity-refused': 'a role, name or scope that does not allow the call, or a claim of somebody else',
  'token-refused': 'a bearer token that is damaged, forged, ended, or came over plain text',
  'connection-limit': 'a connection above cluster.limits.connections or connectionsPerPeer',
  'slow-connection': 'a connection without a call, or a call without its first message, in time',
  'call-limit': 'a call above cluster.limits.calls or callsPerPeer',
  'unknown-call': 'a method or kind of content that is not served',
  'oversized-message': 'a message above its limit',
  'malformed-message': 'bytes that are no message, or a broken HTTP/2 connection',
  'message-rate': 'more messages than cluster.limits.messagesPerSecond',
  'bad-message': 'a message that breaks the protocol: out of order, of the wrong shape, not asked for',
  'certificate-reload': 'changed certificates of the coordinator that can not be used; the old ones serve on',
  'doubtful-answer': 'an answer with NaN or infinity, set aside until another worker confirms it',
} as const;
export type SecurityEvent = keyof typeof SECURITY_EVENTS;

/** Counts an event and logs it; `fields` say who and what. May be called very often: logs are limited in rate, not here. */
export type ReportSecurityEvent = (event: SecurityEvent, fields?: Readonly<Record<string, unknown>>) => void;
