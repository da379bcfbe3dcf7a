import { describe, expect, it } from 'vitest';
import { flag, oneOf, parseOptions, someOf, text, texts, wholeNumber, wholeNumbers } from '../../../bench/options.ts';

const OPTIONS = {
  steps: wholeNumber(30),
  limit: wholeNumber(),
  workers: wholeNumbers(1, 2),
  model: oneOf(['small', 'large'], 'large'),
  parts: someOf(['sum', 'adam', 'grpc']),
  'runs-folder': text(),
  name: text('bench'),
  set: texts(),
  json: flag(),
};

const usage = (...args: string[]): unknown => {
  try {
    return parseOptions(OPTIONS, args);
  } catch (error) {
    return error;
  }
};

describe('parseOptions', () => {
  it('parseOptions: gives the defaults when nothing is given', () => {
    expect(parseOptions(OPTIONS, [])).toEqual({
      steps: 30,
      limit: undefined,
      workers: [1, 2],
      model: 'large',
      parts: ['sum', 'adam', 'grpc'],
      'runs-folder': undefined,
      name: 'bench',
      set: [],
      json: false,
    });
  });

  it('parseOptions: reads each kind of value when it is given', () => {
    const args = '--steps 7 --limit 3 --workers 8,2 --model small --parts grpc,sum --runs-folder a --name b --set x=1 --set y=2 --json';
    expect(parseOptions(OPTIONS, args.split(' '))).toEqual({
      steps: 7,
      limit: 3,
      workers: [8, 2],
      model: 'small',
      parts: ['grpc', 'sum'],
      'runs-folder': 'a',
      name: 'b',
      set: ['x=1', 'y=2'],
      json: true,
    });
  });

  it.each([
    ['--steps', '0', 'bad --steps'],
    ['--steps', '1.5', 'bad --steps'],
    ['--limit', 'x', 'bad --limit'],
    ['--workers', '2,', 'bad --workers'],
    ['--model', 'small,large', 'unknown name in --model'],
    ['--parts', 'sum,sums', 'unknown name in --parts'],
  ])('parseOptions: says what is wrong when %s is %s', (option, value, what) => {
    expect(usage(option, value)).toMatchObject({ code: 'USAGE', exitCode: 2, parts: { what } });
  });

  it('parseOptions: returns nothing when help is asked for, whatever else is wrong', () => {
    expect(parseOptions(OPTIONS, ['--help', '--steps', '0'])).toBeUndefined();
  });

  it('parseOptions: throws when an option is unknown', () => {
    expect(usage('--nonsense')).toMatchObject({ code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' });
  });
});
