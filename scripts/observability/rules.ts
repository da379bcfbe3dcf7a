/** @file The rule files of deploy/prometheus/rules and their tests, as data. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type Catalogue, checkQuery, type Series } from './promql.ts';

export const PROMETHEUS_FOLDER = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A recording rule. */
export type Recording = Rule & { readonly record: string };
export type Alert = Rule & { readonly alert: string };

/** One test of one alert. */
export interface AlertTest {
  readonly alert: string;
  /** It fires in this test; else it must not. */
  readonly fires: boolean;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

interface TestFile {
  readonly tests: readonly {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[];
  }[];
}

export function readRules(): { readonly recordings: readonly Recording[]; readonly alerts: readonly Alert[] } {
  const rules = readAll<RuleFile>('rules').flatMap(({ groups }) => groups.flatMap((group) => group.rules));
  return {
    recordings: rules.filter((rule): rule is Recording => rule.record !== undefined),
    alerts: rules.filter((rule): rule is Alert => rule.alert !== undefined),
  };
}

export function readAlertTests(): AlertTest[] {
  const cases = readAll<TestFile>('tests').flatMap(({ tests }) => tests.flatMap((test) => test.alert_rule_test));
  return cases.map(({ alertname, exp_alerts = [] }) => ({ alert: alertname, fires: exp_alerts.length > 0 }));
}

/** The catalogue with what the recording rules give; they may use each other in the order of the file. */
export function withRecordings(known: Catalogue, recordings: readonly Recording[]): Map<string, Series> {
  const catalogue = new Map(known);
  for (const { record, expr } of recordings) {
    catalogue.set(record, { type: 'gauge', labels: checkQuery(expr, catalogue).labels, isRecorded: true });
  }
  return catalogue;
}

function readAll<T>(folder: string): T[] {
  const path = `${PROMETHEUS_FOLDER}${folder}/`;
  return readdirSync(path)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => parse(readFileSync(path + name, 'utf8')) as T);
}
