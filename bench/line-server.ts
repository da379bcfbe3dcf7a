/** @file The child's end of a {@link LineProcess}, as peer/protocol.py is in Python. */
import { createInterface } from 'node:readline';

export interface LineRequest extends Readonly<Record<string, unknown>> {
  readonly command: string;
}

/** Answers one request after the other, errors as `{"error": ...}`; ends the process on `quit` or with its input. */
export async function serveLines(answer: (request: LineRequest) => Promise<Record<string, unknown>>): Promise<never> {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as LineRequest;
    if (request.command === 'quit') break;
    try {
      process.stdout.write(`${JSON.stringify(await answer(request))}\n`);
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`);
    }
  }
  process.exit(0);
}
