// Runs after each build: makes the command executable and links it as node_modules/.bin/deepdefense, so that
// `npx deepdefense` in this repository runs this build at once instead of first installing the folder into npm's own cache.
import { chmod, mkdir, rm, symlink } from 'node:fs/promises';

const root = new URL('../', import.meta.url);
const link = new URL('node_modules/.bin/deepdefense', root);

await chmod(new URL('dist/cli/main.js', root), 0o755);
if (process.platform !== 'win32') {
  await mkdir(new URL('./', link), { recursive: true });
  await rm(link, { force: true });
  await symlink('../../dist/cli/main.js', link);
}
