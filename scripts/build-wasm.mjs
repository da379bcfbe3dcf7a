// Compiles src/core/vector-math.wat into src/core/vector-math-binary.ts, which is committed, so that neither a build nor an
// installation needs a compiler. With --check it writes nothing and fails when the committed file is not what the source gives.
import { readFile, writeFile } from 'node:fs/promises';
import loadWabt from 'wabt';

const source = new URL('../src/core/vector-math.wat', import.meta.url);
const target = new URL('../src/core/vector-math-binary.ts', import.meta.url);

const wabt = await loadWabt();
const text = await readFile(source, 'utf8');
const module = wabt.parseWat('vector-math.wat', text, { simd: true, threads: true });
// wabt's own validation knows no shared memories; the engine that will run the module validates it.
const { buffer } = module.toBinary({ canonicalize_lebs: true });
module.destroy();
await WebAssembly.compile(buffer);

const compiled = `/** @file Generated from vector-math.wat by \`npm run wasm\`; \`npm run wasm:check\` compares. */

/** The compiled module, base64. */
export const VECTOR_MATH_BINARY: string =
  '${Buffer.from(buffer).toString('base64')}';
`;
if (process.argv.includes('--check')) {
  const committed = await readFile(target, 'utf8').catch(() => '');
  if (committed !== compiled) {
    console.error('src/core/vector-math-binary.ts is not what src/core/vector-math.wat compiles to: run `npm run wasm`');
    process.exitCode = 1;
  }
} else {
  await writeFile(target, compiled);
}
