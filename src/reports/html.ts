/** @file HTML from strings, with escaping as the default. */

/** Text that is already HTML. */
export interface Html {
  readonly html: string;
}

type Fragment = string | number | Html | readonly Html[];

/** Marks trusted text as HTML. */
export function raw(html: string): Html {
  return { html };
}

/** Template tag: plain values are escaped, {@link Html} values and lists of them are inserted. */
export function html(strings: TemplateStringsArray, ...values: readonly Fragment[]): Html {
  return raw(strings.reduce((text, part, index) => text + toText(values[index - 1] as Fragment) + part));
}

function toText(value: Fragment): string {
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return isList(value) ? value.map((part) => part.html).join('') : value.html;
}

function isList(value: Html | readonly Html[]): value is readonly Html[] {
  return Array.isArray(value);
}

/** Escapes text for element content and for quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}
