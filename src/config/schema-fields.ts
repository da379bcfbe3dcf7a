/**
 * @file A schema as a flat list of fields. Messages ("expected"), the documentation and key suggestions read this list, so that all of
 * them say what the schema says.
 */
import { z } from 'zod';

/** One leaf of a config. */
export interface ConfigField {
  /** Dotted path, e.g. `train.batchSize`. */
  readonly path: string;
  /** Type and range in words, e.g. `integer >= 1`. */
  readonly accepts: string;
  /** Default as JSON; undefined where the key is optional. */
  readonly default: string | undefined;
  readonly meaning: string;
}

/** The part of JSON Schema that zod emits for a config. */
interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string | number | boolean;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly pattern?: string;
}

/** See the file's header. */
export class SchemaFields {
  readonly #schema: z.ZodType;
  readonly #title: string;
  #root: SchemaNode | undefined;

  /** @param title of the JSON Schema */
  constructor(schema: z.ZodType, title: string) {
    this.#schema = schema;
    this.#title = title;
  }

  /** JSON Schema (draft 2020-12) of a file, for editors. */
  jsonSchema(): Record<string, unknown> {
    return { ...z.toJSONSchema(this.#schema, { io: 'input' }), title: this.#title };
  }

  /** All leaves in the order of the schema. */
  fields(): readonly ConfigField[] {
    return leavesOf(this.#rootNode, '');
  }

  /** Keys that the section at `path` has; empty for a path that isn't a section. `input` says which of several forms a section has. */
  keysOfSection(path: readonly PropertyKey[], input?: unknown): readonly string[] {
    return Object.keys(this.#nodeAt(path, input)?.properties ?? {});
  }

  /** Type and range of the field at `path` in words; undefined where the schema has no such field. */
  acceptedAt(path: readonly PropertyKey[], input?: unknown): string | undefined {
    const node = this.#nodeAt(path, input);
    if (node === undefined) return undefined;
    return node.properties === undefined ? describeRange(node) : `a section with the keys ${Object.keys(node.properties).join(', ')}`;
  }

  get #rootNode(): SchemaNode {
    this.#root ??= this.jsonSchema() as SchemaNode;
    return this.#root;
  }

  #nodeAt(path: readonly PropertyKey[], input: unknown): SchemaNode | undefined {
    let node: SchemaNode | undefined = formOf(this.#rootNode, input);
    let value = input;
    for (const key of path) {
      value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
      const rest: SchemaNode | boolean | undefined = node?.additionalProperties;
      const child: SchemaNode | undefined =
        typeof key === 'number' ? node?.items : (node?.properties?.[String(key)] ?? (typeof rest === 'object' ? rest : undefined));
      node = formOf(child, value);
    }
    return node;
  }
}

/** Of a section with several forms the one that the value names by its `type`. */
function formOf(node: SchemaNode | undefined, value: unknown): SchemaNode | undefined {
  const type: unknown = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['type'] : undefined;
  return node?.oneOf?.find((form) => form.properties?.['type']?.const === type) ?? node;
}

function leavesOf(node: SchemaNode, path: string): ConfigField[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const childPath = path === '' ? key : `${path}.${key}`;
    if (child.properties !== undefined) return leavesOf(child, childPath);
    const fallback = child.default === undefined ? undefined : JSON.stringify(child.default);
    return [{ path: childPath, accepts: describeRange(child), default: fallback, meaning: child.description ?? '' }];
  });
}

function describeRange(node: SchemaNode): string {
  if (node.const !== undefined) return String(node.const);
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
    case 'object':
      return 'section';
    default:
      return (node.anyOf ?? node.oneOf)?.map(describeRange).join(', or ') ?? node.type ?? 'value';
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
