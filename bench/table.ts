/** @file Tables of the benchmarks. */
import Table from 'cli-table3';

/** Without colours. @param align one letter per column, `l` or `r`; default: all to the left */
export function formatTable(head: readonly string[], rows: readonly (readonly (string | number)[])[], align = ''): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, index) => (align[index] === 'r' ? 'right' : 'left')),
    style: { head: [], border: [] },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}
