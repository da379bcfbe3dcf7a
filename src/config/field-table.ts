/**
 * @file The schema as a flat list of fields. Messages ("expected"), the documentation and key suggestions read this list,
 * so that all of them say what the schema says.
 */
import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One leaf of the config. */
export interface ConfigField {
  /** Dotted path, e.g. `train.batchSize`. */
  readonly path: string;
  /** Type and range in words, e.g. `integer >= 1`. */
  readonly accepts: string;
  /** Default as JSON; undefined where the key is optional. */
  readonly default: string | undefined;
  readonly meaning: string;
}

/** The part of JSON Schema that zod emits for the config. */
interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly pattern?: string;
}

let cachedRoot: SchemaNode | undefined;

function root(): SchemaNode {
  cachedRoot ??= configJsonSchema() as SchemaNode;
  return cachedRoot;
}

/** JSON Schema (draft 2020-12) of a config file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }), title: 'deepdefense training config' };
}

/** All leaves in the order of the schema. */
export function configFields(): readonly ConfigField[] {
  const fields: ConfigField[] = [];
  const visit = (node: SchemaNode, path: string): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const childPath = path === '' ? key : `${path}.${key}`;
      if (child.properties !== undefined) visit(child, childPath);
      else {
        fields.push({
          path: childPath,
          accepts: describeRange(child),
          default: child.default === undefined ? undefined : JSON.stringify(child.default),
          meaning: child.description ?? '',
        });
      }
    }
  };
  visit(root(), '');
  return fields;
}

/** Keys that the section at `path` has; empty for a path that isn't a section. */
export function keysOfSection(path: readonly PropertyKey[]): readonly string[] {
  return Object.keys(nodeAt(path)?.properties ?? {});
}

/** Type and range of the field at `path` in words; undefined where the schema has no such field. */
export function acceptedAt(path: readonly PropertyKey[]): string | undefined {
  const node = nodeAt(path);
  if (node === undefined) return undefined;
  return node.properties === undefined ? describeRange(node) : `a section with the keys ${Object.keys(node.properties).join(', ')}`;
}

function nodeAt(path: readonly PropertyKey[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = root();
  for (const key of path) node = typeof key === 'number' ? node?.items : node?.properties?.[String(key)];
  return node;
}

function describeRange(node: SchemaNode): string {
  if (node.enum !== undefined) return `one of ${node.enum.map(String).join(', ')}`;
  switch (node.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
    case 'number':
      return `${node.type}${describeBounds(node)}`;
    case 'array':
      return `list of ${node.items === undefined ? 'values' : describeRange(node.items)}${node.minItems === undefined ? '' : `, at least ${node.minItems}`}`;
    case 'string':
      return node.pattern === undefined
        ? 'text'
        : `text of ${node.minLength ?? 0} to ${node.maxLength ?? 'any number of'} characters that matches ${node.pattern}`;
    default:
      return node.type ?? 'value';
  }
}

function describeBounds(node: SchemaNode): string {
  const bounds: string[] = [];
  if (node.minimum !== undefined && node.minimum !== Number.MIN_SAFE_INTEGER) bounds.push(`>= ${node.minimum}`);
  if (node.exclusiveMinimum !== undefined) bounds.push(`> ${node.exclusiveMinimum}`);
  if (node.maximum !== undefined && node.maximum !== Number.MAX_SAFE_INTEGER) bounds.push(`<= ${node.maximum}`);
  if (node.exclusiveMaximum !== undefined) bounds.push(`< ${node.exclusiveMaximum}`);
  return bounds.length === 0 ? '' : ` ${bounds.join(' and ')}`;
}
