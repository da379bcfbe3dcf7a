/** @file Small resolved configs for numeric tests. */
import { type Config, type ConfigInput, resolveConfig } from '../../src/config/index.ts';
import type { EngineName } from '../../src/engine/index.ts';

/** `cnn3` on the given engine; `input` is merged over it by section. */
export function smallConfig(engine: EngineName, input: ConfigInput = {}): Config {
  return resolveConfig({ ...input, model: { name: 'cnn3', ...input.model }, engine: { name: engine } });
}
