/**
 * @file Checks PromQL against a catalogue of metrics: every name exists, every label that is matched, grouped or joined by can be there,
 * rates are taken of counters only. Goes by Prometheus' own grammar.
 */
import { parser } from '@prometheus-io/lezer-promql';

type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

/** What is known of a metric by the name that a query uses. */
export interface Series {
  readonly type: 'counter' | 'gauge' | 'bucket';
  /** Labels of its own; {@link TARGET_LABELS} come with every scrape. */
  readonly labels: ReadonlySet<string>;
  /** The result of a recording rule: it has these labels alone. */
  readonly isRecorded?: true;
  /** Values that a label may have; undefined = any. */
  readonly values?: (label: string) => ReadonlySet<string> | undefined;
}

/** By the full name, `_bucket`, `_sum` and `_count` included. */
export type Catalogue = ReadonlyMap<string, Series>;

/** Labels that Prometheus or its discovery in Kubernetes puts on every series. */
export const TARGET_LABELS: ReadonlySet<string> = new Set(['job', 'instance', 'namespace', 'pod', 'container', 'node']);

/** What a query reads and gives. */
export interface CheckedQuery {
  /** Names of metrics that it reads. */
  readonly metrics: ReadonlySet<string>;
  /** Labels that its result may have. */
  readonly labels: ReadonlySet<string>;
  /** What is wrong; empty when nothing is. */
  readonly problems: readonly string[];
}

const COUNTER_FUNCTIONS = new Set(['rate', 'irate', 'increase', 'resets']);
const GAUGE_FUNCTIONS = new Set(['delta', 'idelta', 'deriv', 'predict_linear']);
/** Aggregations that pass series on as they are. */
const SELECTING = new Set(['topk', 'bottomk', 'limitk', 'limit_ratio']);
const SCALAR_FUNCTIONS = new Set(['time', 'scalar', 'vector', 'pi']);

/** Grafana's own variables with values as they may be; variables of dashboards stand inside quotes and need none. */
export function withoutGrafanaMacros(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll('$__interval', '30s').replaceAll('$__range', '1h');
}

/** Parses and checks a query. */
export function checkQuery(expr: string, catalogue: Catalogue): CheckedQuery {
  const text = withoutGrafanaMacros(expr);
  const checker = new Checker(text, catalogue);
  const labels = checker.check(parser.parse(text).topNode);
  return { metrics: checker.metrics, labels, problems: checker.problems };
}

type Labels = ReadonlySet<string>;

class Checker {
  readonly metrics = new Set<string>();
  readonly problems: string[] = [];
  readonly #text: string;
  readonly #catalogue: Catalogue;

  constructor(text: string, catalogue: Catalogue) {
    this.#text = text;
    this.#catalogue = catalogue;
  }

  check(top: SyntaxNode): Labels {
    let broken = false;
    top.cursor().iterate(({ type, from }) => {
      if (type.isError && !broken) this.problems.push(`syntax error at "${this.#text.slice(from, from + 20)}"`);
      broken ||= type.isError;
    });
    return broken ? new Set() : this.#labelsOf(top);
  }

  #labelsOf(node: SyntaxNode): Labels {
    switch (node.name) {
      case 'VectorSelector':
        return this.#selector(node);
      case 'AggregateExpr':
        return this.#aggregate(node);
      case 'BinaryExpr':
        return this.#binary(node);
      case 'FunctionCall':
        return this.#call(node);
      default:
        return union(children(node).map((child) => this.#labelsOf(child)));
    }
  }

  #selector(node: SyntaxNode): Labels {
    const name = this.#textOf(node.getChild('Identifier'));
    const series = this.#catalogue.get(name);
    this.metrics.add(name);
    if (series === undefined) {
      this.problems.push(`unknown metric "${name}"`);
      return new Set();
    }
    const labels = new Set([...(series.isRecorded ? [] : TARGET_LABELS), ...series.labels]);
    for (const matcher of node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []) {
      const label = this.#textOf(matcher.getChild('LabelName'));
      if (!labels.has(label)) this.problems.push(`"${name}" has no label "${label}"`);
      const known = series.values?.(label);
      const pattern = unquote(this.#textOf(matcher.getChild('StringLiteral')));
      if (known === undefined || /[$.*+]/.test(pattern)) continue;
      for (const value of pattern.split('|'))
        if (value !== '' && !known.has(value)) this.problems.push(`label "${label}" of "${name}" is never "${value}"`);
    }
    return labels;
  }

  #aggregate(node: SyntaxNode): Labels {
    const inner = this.#labelsOf(required(node.getChild('FunctionCallBody')));
    if (SELECTING.has(this.#textOf(node.getChild('AggregateOp')))) return inner;
    const modifier = node.getChild('AggregateModifier');
    if (modifier === null) return new Set();
    const listed = this.#grouping(modifier);
    this.#expectAll(listed, inner, `${this.#textOf(modifier)} of what hasn't this label`);
    return modifier.getChild('By') !== null ? new Set(listed) : without(inner, listed);
  }

  #binary(node: SyntaxNode): Labels {
    const operands = [required(node.firstChild), required(node.lastChild)] as const;
    const [left, right] = [this.#labelsOf(operands[0]), this.#labelsOf(operands[1])];
    const clause = node.getChild('MatchingModifierClause');
    const says = (keyword: string): boolean => clause !== null && clause.getChild(keyword) !== null;
    const isSet = ['And', 'Or', 'Unless'].some((name) => node.getChild(name) !== null);
    const [matched = [], added = []] = clause === null ? [] : clause.getChildren('GroupingLabels').map((list) => this.#names(list));
    if (says('On')) for (const side of [left, right]) this.#expectAll(matched, side, 'on() of a side without this label');
    if (says('Ignoring')) this.#expectAll(matched, union([left, right]), 'ignoring() of a label that neither side has');
    if (isSet) return node.getChild('Or') !== null ? union([left, right]) : left;
    const [groupLeft, groupRight] = [says('GroupLeft'), says('GroupRight')];
    if (groupLeft || groupRight) {
      const [many, one] = groupLeft ? [left, right] : [right, left];
      this.#expectAll(added, one, 'group_left/right of a label that the one side lacks');
      return union([many, new Set(added)]);
    }
    if (says('On')) return new Set(matched);
    const bothVectors = !operands.some((operand) => this.#isScalar(operand));
    const unmatched = [...without(left, [...right, ...matched]), ...without(right, [...left, ...matched])];
    if (bothVectors && unmatched.length > 0) this.problems.push(`sides differ in ${unmatched.join(', ')}: say on() or ignoring()`);
    return union([left, right]);
  }

  #call(node: SyntaxNode): Labels {
    const name = this.#textOf(node.getChild('FunctionIdentifier'));
    const body = required(node.getChild('FunctionCallBody'));
    const inner = this.#labelsOf(body);
    const texts = body.getChildren('StringLiteral').map((child) => unquote(this.#textOf(child)));
    if (COUNTER_FUNCTIONS.has(name)) this.#expectType(body, name, (type) => type !== 'gauge');
    if (GAUGE_FUNCTIONS.has(name)) this.#expectType(body, name, (type) => type === 'gauge');
    if (SCALAR_FUNCTIONS.has(name)) return new Set();
    if (name.startsWith('absent')) return this.#matchedLabels(body);
    if (name === 'label_replace' || name === 'label_join') return union([inner, new Set(texts.slice(0, 1))]);
    if (name === 'histogram_quantile') {
      this.#expectAll(['le'], inner, 'histogram_quantile of what has no buckets');
      return without(inner, ['le']);
    }
    return inner;
  }

  /** A number, which has no labels and takes none away. */
  #isScalar(node: SyntaxNode): boolean {
    switch (node.name) {
      case 'NumberDurationLiteral':
        return true;
      case 'ParenExpr':
      case 'UnaryExpr':
        return this.#isScalar(required(node.lastChild));
      case 'BinaryExpr':
        return this.#isScalar(required(node.firstChild)) && this.#isScalar(required(node.lastChild));
      case 'FunctionCall':
        return ['time', 'scalar', 'pi'].includes(this.#textOf(node.getChild('FunctionIdentifier')));
      default:
        return false;
    }
  }

  #matchedLabels(body: SyntaxNode): Labels {
    const labels = new Set<string>();
    body.cursor().iterate((found) => {
      if (found.name === 'UnquotedLabelMatcher') labels.add(this.#textOf(found.node.getChild('LabelName')));
    });
    return labels;
  }

  /** Of the metrics that are read directly; those of recording rules count as gauges. */
  #expectType(body: SyntaxNode, name: string, isRight: (type: Series['type']) => boolean): void {
    body.cursor().iterate((found) => {
      if (found.name !== 'VectorSelector') return;
      const metric = this.#textOf(found.node.getChild('Identifier'));
      const series = this.#catalogue.get(metric);
      if (series !== undefined && !isRight(series.type)) this.problems.push(`${name}() of the ${series.type} "${metric}"`);
    });
  }

  #expectAll(wanted: readonly string[], present: Labels, what: string): void {
    for (const label of wanted) if (!present.has(label)) this.problems.push(`"${label}": ${what}`);
  }

  #grouping(modifier: SyntaxNode): string[] {
    return this.#names(required(modifier.getChild('GroupingLabels')));
  }

  #names(list: SyntaxNode): string[] {
    return list.getChildren('LabelName').map((label) => this.#textOf(label));
  }

  #textOf(node: SyntaxNode | null): string {
    return node === null ? '' : this.#text.slice(node.from, node.to);
  }
}

function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) found.push(child);
  return found;
}

function union(sets: readonly Labels[]): Labels {
  return new Set(sets.flatMap((set) => [...set]));
}

function without(set: Labels, names: readonly string[]): Labels {
  return new Set([...set].filter((name) => !names.includes(name)));
}

function unquote(literal: string): string {
  return literal.slice(1, -1);
}

function required(node: SyntaxNode | null): SyntaxNode {
  if (node === null) throw new Error('the grammar of PromQL has changed: a node is missing');
  return node;
}
