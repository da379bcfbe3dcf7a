/** @file How a line is sealed: `{"sequence":1,"at":"...","event":{...},"hash":"<64 hexadecimal digits>"}` and a line feed. */
import { hash } from 'node:crypto';
import type { JournalRecord } from './journal-record.ts';

/** Hash that the first line follows. */
export const GENESIS = '0'.repeat(64);
export const HASH_LENGTH = 64;
/** What stands between the body of a line, which lacks its last brace, and the hash. */
export const HASH_KEY = ',"hash":"';
/** What follows the hash. */
export const LINE_END = '"}';

/** Hash of a line that is `body` without it. */
export function chain(previousHash: string, body: string): string {
  return hash('sha256', `${previousHash}\n${body}`, 'hex');
}

/** @param body a JSON object */
export function sealed(body: string, hashOfBody: string): string {
  return `${body.slice(0, -1)}${HASH_KEY}${hashOfBody}${LINE_END}\n`;
}

/** The body of a sealed line without its line feed. */
export function bodyOf(line: string): string {
  return `${line.slice(0, -(HASH_KEY.length + HASH_LENGTH + LINE_END.length))}}`;
}

/** The line of a record, as it was written. */
export function lineOf<Event>({ sequence, at, event, hash: hashOfBody }: JournalRecord<Event>): string {
  return sealed(JSON.stringify({ sequence, at, event }), hashOfBody);
}
