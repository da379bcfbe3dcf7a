/** @file The fields of the training config; see schema-fields.ts. */
import { configSchema } from './schema.ts';
import { type ConfigField, SchemaFields } from './schema-fields.ts';

/** All of the training config. */
export const TRAINING_FIELDS = new SchemaFields(configSchema, 'deepdefense training config');

/** JSON Schema (draft 2020-12) of a config file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return TRAINING_FIELDS.jsonSchema();
}

/** All leaves in the order of the schema. */
export function configFields(): readonly ConfigField[] {
  return TRAINING_FIELDS.fields();
}
