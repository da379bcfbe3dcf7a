/** @file Options of the benchmarks: each says how its text becomes a value. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { DeepDefenseError } from '../src/core/index.ts';

type Given = string | boolean | readonly string[] | undefined;

export interface Option<Value> {
  /** For `parseArgs`. */
  readonly form: NonNullable<ParseArgsConfig['options']>[string];
  /** @throws DeepDefenseError USAGE */
  readonly read: (name: string, given: Given) => Value;
}

/** By name, without the leading `--`. */
export type Options = Readonly<Record<string, Option<unknown>>>;

export type Values<Of extends Options> = { readonly [Name in keyof Of]: ReturnType<Of[Name]['read']> };

type Read<Value> = (name: string, text: string) => Value;

function withDefault<Value>(text: string, read: Read<Value>): Option<Value> {
  return { form: { type: 'string', default: text }, read: (name, given) => read(name, given as string) };
}

function maybe<Value>(read: Read<Value>): Option<Value | undefined> {
  return { form: { type: 'string' }, read: (name, given) => (given === undefined ? undefined : read(name, given as string)) };
}

/** Off unless given. */
export function flag(): Option<boolean> {
  return { form: { type: 'boolean', default: false }, read: (_name, given) => given as boolean };
}

export function text(byDefault: string): Option<string>;
export function text(): Option<string | undefined>;
export function text(byDefault?: string): Option<string | undefined> {
  const read: Read<string> = (_name, given) => given;
  return byDefault === undefined ? maybe(read) : withDefault(byDefault, read);
}

/** May be given more than once. */
export function texts(): Option<readonly string[]> {
  return { form: { type: 'string', multiple: true, default: [] }, read: (_name, given) => given as readonly string[] };
}

/** An integer of at least 1. */
export function wholeNumber(byDefault: number): Option<number>;
export function wholeNumber(): Option<number | undefined>;
export function wholeNumber(byDefault?: number): Option<number | undefined> {
  return byDefault === undefined ? maybe(readWholeNumber) : withDefault(String(byDefault), readWholeNumber);
}

/** Integers of at least 1 with commas between them. */
export function wholeNumbers(...byDefault: readonly number[]): Option<readonly number[]> {
  return withDefault(byDefault.join(), (name, list) => list.split(',').map((part) => readWholeNumber(name, part)));
}

/** One of the names. */
export function oneOf<Name extends string>(names: readonly Name[], byDefault: Name): Option<Name> {
  return withDefault(byDefault, (name, given) => readName(name, given, names));
}

/** Some of the names, with commas between them; default: all. */
export function someOf<Name extends string>(names: readonly Name[], byDefault = names): Option<readonly Name[]> {
  return withDefault(byDefault.join(), (name, list) => list.split(',').map((part) => readName(name, part, names)));
}

function readWholeNumber(name: string, given: string): number {
  const value = Number(given);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new DeepDefenseError('USAGE', { what: `bad --${name}`, expected: 'an integer of at least 1', got: `"${given}"` });
}

function readName<Name extends string>(option: string, given: string, names: readonly Name[]): Name {
  const name = names.find((candidate) => candidate === given.trim());
  if (name !== undefined) return name;
  throw new DeepDefenseError('USAGE', { what: `unknown name in --${option}`, expected: names.join(', '), got: `"${given}"` });
}

/** @returns undefined where help is asked for @throws DeepDefenseError USAGE on a bad value, TypeError on an unknown option */
export function parseOptions<Of extends Options>(options: Of, args: readonly string[]): Values<Of> | undefined {
  const forms = Object.fromEntries(Object.entries(options).map(([name, { form }]) => [name, form]));
  const { values } = parseArgs({ args: [...args], options: { ...forms, help: { type: 'boolean', default: false } } });
  if (values.help) return undefined;
  const given = values as Readonly<Record<string, Given>>;
  return Object.fromEntries(Object.entries(options).map(([name, { read }]) => [name, read(name, given[name])])) as Values<Of>;
}
