/** @file A config as YAML text, as in a run folder's config.yaml. */
import { stringify } from 'yaml';

/** YAML with absent values left out and short lists on one line. */
export function yamlText(value: Readonly<Record<string, unknown>>): string {
  return stringify(value, { collectionStyle: 'any', lineWidth: 100, flowCollectionPadding: false }).trimEnd();
}
